//! What a client can prove itself with besides its long-term key: answers that somebody types, and
//! what else a method needs. Not here: the long-term key itself ([`crate::client::Secret`]).

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use crate::codes::PaType;
use crate::error::Result;

/// Asks a person. The text names what is wanted ("OTP Token PIN"); the answer is a secret.
pub type Ask = Box<dyn FnMut(&str) -> Result<Zeroizing<String>> + Send>;

/// What a client has besides its long-term key.
#[derive(Default)]
pub struct Means {
    /// Whom a method may ask; `None`: nobody is there.
    pub ask: Option<Ask>,
    /// The methods to take before all others that a KDC offers, most wanted first
    /// (`preferred_preauth_types`).
    pub preferred: Vec<PaType>,
    /// The only method to take, as a credential cache remembers it (`pa_type`).
    pub only: Option<PaType>,
    /// The choices of a former exchange, as a credential cache remembers them (`pa_config_data`).
    pub choices: BTreeMap<String, String>,
    /// Do without an encrypted timestamp (`disable_encrypted_timestamp`): whoever listens may guess
    /// the password from it.
    pub no_timestamp: bool,
    /// A certificate, and whose certificates make a KDC believed.
    #[cfg(feature = "pkinit")]
    pub pkinit: Option<std::sync::Arc<super::pkinit::PkinitMeans>>,
    /// The groups for SPAKE, most wanted first (`spake_preauth_groups`); `None`: those that everybody
    /// has, empty: none, and so no SPAKE.
    #[cfg(feature = "spake")]
    pub spake_groups: Option<Vec<&'static super::spake::Group>>,
}

impl Means {
    /// Whether there is a certificate to sign a token with by which the KDC sees that the request is
    /// recent (RFC 8070).
    pub(crate) fn wants_freshness(&self) -> bool {
        #[cfg(feature = "pkinit")]
        return self.pkinit.as_ref().is_some_and(|pkinit| !pkinit.without_freshness);
        #[cfg(not(feature = "pkinit"))]
        false
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Means { ask, preferred, only, no_timestamp, .. } = self;
        f.debug_struct("Means")
            .field("ask", &ask.is_some())
            .field("preferred", preferred)
            .field("only", only)
            .field("no_timestamp", no_timestamp)
            .finish_non_exhaustive()
    }
}
