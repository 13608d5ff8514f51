//! Logins by certificate as krb5.conf and a caller's wishes have them: where identities and anchors lie,
//! and what is asked of a KDC (`pkinit_*`). Not here: what is done with them
//! ([`crate::preauth::pkinit`]).

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::preauth::pkinit::client::{KdcPurpose, KdcRules};
use crate::preauth::pkinit::identity::file::{Source, pem};
use crate::preauth::pkinit::{Group, Identity, PkinitMeans, Rule, Trust};

/// What a caller wants otherwise than krb5.conf has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateWishes {
    /// Where the identity lies (`-X X509_user_identity=`).
    pub identity: Option<String>,
    /// Whose certificates make the KDC believed (`-X X509_anchors=`).
    pub anchors: Vec<String>,
    /// Leave out the token by which the KDC sees that the request is recent (`-X disable_freshness=yes`).
    pub without_freshness: bool,
    /// Log in as nobody in particular, which needs no identity.
    pub anonymous: bool,
}

/// Asks for the password of a file.
pub type FilePrompt<'a> = &'a mut dyn FnMut(&str) -> Result<Zeroizing<String>>;

/// The means of a client of this realm; `None`: it has no certificate, or nothing makes a KDC
/// believed.
///
/// # Errors
/// Where something is wished for that can't be had: [`Error::File`], [`Error::Setting`]. What only
/// krb5.conf names and is not there counts as not named.
pub fn pkinit_means(
    config: &Config,
    realm: &str,
    wishes: &CertificateWishes,
    prompt: FilePrompt<'_>,
) -> Result<Option<PkinitMeans>> {
    let of_realm = OfRealm { config, realm };
    let identity = match &wishes.identity {
        _ if wishes.anonymous => None,
        Some(place) => Some(found(&of_realm, Source::candidates(place)?, prompt)?),
        None => {
            let places = of_realm.all("pkinit_identities");
            let mut usable =
                places.iter().filter_map(|place| found(&of_realm, Source::candidates(place).ok()?, prompt).ok());
            usable.next()
        }
    };
    let asked = wishes.identity.is_some() || wishes.anonymous;
    if identity.is_none() && !asked {
        return Ok(None);
    }
    let anchors = if wishes.anchors.is_empty() { of_realm.all("pkinit_anchors") } else { wishes.anchors.clone() };
    if anchors.is_empty() {
        let problem = format!(
            "nothing says whose certificates make a KDC of {realm} believed: name the authority's with `pkinit_anchors` \
             in krb5.conf, or with X509_anchors"
        );
        return if asked { Err(Error::Setting(problem)) } else { Ok(None) };
    }
    let trust = Trust::from_pem(&pem(&anchors)?, &of_realm.pem("pkinit_pool")?, &of_realm.pem("pkinit_revoke")?)?;
    let strict = of_realm.flag("pkinit_require_crl_checking")?;
    let (identity, place) = identity.unzip();
    Ok(Some(PkinitMeans {
        identity: identity.map(Arc::new),
        place,
        trust: Arc::new(trust.requiring_revocation(strict)),
        rules: of_realm.rules()?,
        least_group: of_realm.least_group()?,
        without_freshness: wishes.without_freshness,
    }))
}

/// The first identity that `pkinit_cert_match` takes, where that says something, and where it lies.
fn found(of_realm: &OfRealm<'_>, places: Vec<Source>, prompt: FilePrompt<'_>) -> Result<(Identity, String)> {
    let rules = of_realm.all("pkinit_cert_match");
    let rules = rules.iter().map(|rule| Rule::parse(rule)).collect::<Result<Vec<_>>>()?;
    let mut failed = Error::Setting("no certificate with its key is there that pkinit_cert_match takes".to_owned());
    for place in places {
        match place.read(prompt) {
            Ok(identity) => {
                let certificate = identity.certificate()?;
                if rules.is_empty() || rules.iter().any(|rule| rule.matches(&certificate)) {
                    return Ok((identity, place.to_string()));
                }
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The settings of one realm: its own, then those for all.
struct OfRealm<'a> {
    config: &'a Config,
    realm: &'a str,
}

impl OfRealm<'_> {
    fn all(&self, name: &str) -> Vec<String> {
        let paths: [&[&str]; 3] =
            [&["realms", self.realm, name], &["libdefaults", self.realm, name], &["libdefaults", name]];
        let found = paths.into_iter().map(|path| self.config.values(path)).find(|values| !values.is_empty());
        found.unwrap_or_default().into_iter().map(|value| value.text.to_string()).collect()
    }

    fn one(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }

    fn pem(&self, name: &str) -> Result<Vec<u8>> {
        pem(&self.all(name))
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.one(name).as_deref() {
            None | Some("false" | "no" | "n" | "f" | "0" | "off" | "nil") => Ok(false),
            Some("true" | "yes" | "y" | "t" | "1" | "on") => Ok(true),
            Some(_) => Err(Error::Setting(format!("{name} is true or false"))),
        }
    }

    fn rules(&self) -> Result<KdcRules> {
        let known = "pkinit_eku_checking is kpKDC, kpServerAuth or none";
        let purpose = match self.one("pkinit_eku_checking") {
            None => KdcPurpose::default(),
            Some(text) => KdcPurpose::parse(&text).ok_or_else(|| Error::Setting(known.to_owned()))?,
        };
        Ok(KdcRules { hosts: self.all("pkinit_kdc_hostname"), purpose })
    }

    fn least_group(&self) -> Result<Group> {
        let known = "pkinit_dh_min_bits is 2048, P-256, 4096, P-384 or P-521";
        match self.one("pkinit_dh_min_bits") {
            None => Ok(Group::Modp2048),
            Some(text) => Group::parse(&text).ok_or_else(|| Error::Setting(known.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: &str = "EXAMPLE.ORG";

    fn folder() -> String {
        format!("{}/../tests/vectors/pkinit", env!("CARGO_MANIFEST_DIR"))
    }

    fn means(settings: &str, wishes: &CertificateWishes) -> Result<Option<PkinitMeans>> {
        let text = format!("[realms]\n{REALM} = {{\n{}\n}}\n", settings.replace("{}", &folder()));
        let config = Config::parse("krb5.conf", &text).unwrap();
        pkinit_means(&config, REALM, wishes, &mut |_| Ok(Zeroizing::new("secret".to_owned())))
    }

    fn wish(place: &str) -> CertificateWishes {
        CertificateWishes { identity: Some(place.replace("{}", &folder())), ..CertificateWishes::default() }
    }

    const ANCHORS: &str = "pkinit_anchors = FILE:{}/ca.crt";

    #[test]
    fn nothing_named_is_no_means_and_nothing_wrong() {
        let none = CertificateWishes::default();
        assert!(means("", &none).unwrap().is_none());
        assert!(means("pkinit_identities = FILE:/nowhere", &none).unwrap().is_none());
        assert!(means("pkinit_identities = FILE:{}/alice.pem", &none).unwrap().is_none(), "no anchors");
    }

    #[test]
    fn what_krb5_conf_names_is_used_and_what_is_wished_comes_first() {
        let settings = format!("{ANCHORS}\npkinit_identities = FILE:/nowhere\npkinit_identities = FILE:{{}}/bob.pem");
        let subject = |means: PkinitMeans| means.identity.unwrap().certificate().unwrap().subject_text();
        let found = means(&settings, &CertificateWishes::default()).unwrap().unwrap();
        assert!(subject(found).contains("CN=bob"));
        let found = means(&settings, &wish("FILE:{}/alice.pem")).unwrap().unwrap();
        assert!(subject(found).contains("CN=alice"));
        let found = means(&settings, &wish("PKCS12:{}/alice.p12")).unwrap().unwrap();
        assert!(subject(found).contains("CN=alice"));
    }

    #[test]
    fn what_is_wished_for_and_not_there_is_said() {
        let said = |settings: &str, wishes: &CertificateWishes| means(settings, wishes).unwrap_err().to_string();
        assert!(said("", &wish("FILE:{}/alice.pem")).contains("pkinit_anchors"));
        assert!(said(ANCHORS, &wish("FILE:/nowhere")).starts_with("/nowhere: "));
        let nobody = CertificateWishes { anonymous: true, ..CertificateWishes::default() };
        assert!(said("", &nobody).contains("pkinit_anchors"));
        assert!(means(ANCHORS, &nobody).unwrap().unwrap().identity.is_none());
    }

    #[test]
    fn a_rule_chooses_among_certificates() {
        let settings = format!("{ANCHORS}\npkinit_cert_match = <SUBJECT>CN=bob");
        let wrong = means(&settings, &wish("FILE:{}/alice.pem")).unwrap_err().to_string();
        assert!(wrong.contains("pkinit_cert_match"), "{wrong}");
        assert!(means(&settings, &wish("FILE:{}/bob.pem")).unwrap().is_some());
    }

    #[test]
    fn what_is_asked_of_a_kdc_is_read() {
        let settings = format!(
            "{ANCHORS}\npkinit_kdc_hostname = kdc.example.org\npkinit_eku_checking = kpServerAuth\npkinit_dh_min_bits = P-384"
        );
        let found = means(&settings, &wish("FILE:{}/alice.pem")).unwrap().unwrap();
        let rules = KdcRules { hosts: vec!["kdc.example.org".into()], purpose: KdcPurpose::Server };
        assert_eq!((found.rules, found.least_group), (rules, Group::P384));
        for wrong in ["pkinit_eku_checking = all", "pkinit_dh_min_bits = 1e6", "pkinit_require_crl_checking = maybe"] {
            assert!(means(&format!("{ANCHORS}\n{wrong}"), &wish("FILE:{}/alice.pem")).is_err(), "{wrong}");
        }
    }
}
