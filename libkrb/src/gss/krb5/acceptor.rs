//! The acceptor of the Kerberos mechanism (RFC 4121 4.1). One token comes in: it has no state.

use super::checksum::Checksum;
use super::{TokenId, frame, unframe};
use crate::codes::{AuthDataType, MessageType};
use crate::error::{Error, ErrorCode, Result};
use crate::flags::ApOptions;
use crate::gss::acceptor::Opened;
use crate::gss::context::Opening;
use crate::gss::{AcceptorOptions, Caller, ChannelBindings, Context, ContextFlags};
use crate::service::{AcceptError, Accepted, Source};
use crate::session::{Role, open_enclosed_cred};
use crate::wire;

/// An AP-REQ as it came.
#[derive(Clone, Copy, Debug)]
pub(in crate::gss) struct Request<'a> {
    /// The message.
    pub ap_req: &'a [u8],
    /// Whether it stood in the mechanism's frame; what answers it then does so too.
    pub framed: bool,
}

impl<'a> Request<'a> {
    /// Reads the initiator's token, which may be a bare AP-REQ.
    pub fn read(token: &'a [u8]) -> Result<Request<'a>> {
        if wire::application_tag(token).map(i32::from) == Some(MessageType::AP_REQ.0) {
            return Ok(Request { ap_req: token, framed: false });
        }
        match unframe(token)? {
            (TokenId::ApReq, ap_req) => Ok(Request { ap_req, framed: true }),
            _ => Err(Error::protocol(ErrorCode::MSG_TYPE, "GSS-API token: no AP-REQ")),
        }
    }
}

/// The token that tells the initiator why it was refused.
pub(in crate::gss) fn refusal_token(refused: &AcceptError, framed: bool) -> Vec<u8> {
    let error = refused.krb_error();
    if framed { frame(TokenId::Error, &error) } else { error }
}

/// The context that an accepted AP-REQ opens.
pub(in crate::gss) fn open(options: &AcceptorOptions, mut accepted: Accepted, framed: bool) -> Result<Opened> {
    let checksum = accepted.checksum.take();
    let wanted = Checksum::decode(checksum.as_ref())?;
    if wanted.flags.any(ContextFlags::DCE_STYLE) {
        return Err(Error::Malformed("a context in the style of DCE is not supported"));
    }
    let bound = check_bindings(options, &wanted, &accepted)?;
    let delegated = wanted.delegation.map(|cred| open_enclosed_cred(&accepted.session_key, cred)).transpose()?;
    let reply = answer(wanted.flags, &mut accepted)?;
    let receive = accepted.client_sequence.unwrap_or(0);
    let context = Context::open(Opening {
        flags: wanted.flags,
        role: Role::Acceptor,
        initiator_key: accepted.client_subkey.as_ref().unwrap_or(&accepted.session_key).clone(),
        acceptor_subkey: accepted.acceptor_subkey.clone(),
        // Nobody tells our first number without an AP-REP: all take the initiator's.
        send: if reply.is_some() { accepted.acceptor_sequence } else { receive },
        receive,
    });
    let token = reply.map(|reply| if framed { frame(TokenId::ApRep, &reply) } else { reply });
    accepted.checksum = checksum;
    Ok(Opened { context: Box::new(context), caller: Box::new(Caller { accepted, delegated, bound }), token })
}

/// The AP-REP, if one is wanted. What counts are the flags inside the authenticator: anyone can
/// change the options beside it.
fn answer(flags: ContextFlags, accepted: &mut Accepted) -> Result<Option<Vec<u8>>> {
    let reply = accepted.reply.take();
    if flags.has(ContextFlags::MUTUAL) {
        return match reply {
            Some(reply) => Ok(Some(reply)),
            None => Err(Error::protocol(ErrorCode::MODIFIED, "the options of the AP-REQ lack what its flags ask for")),
        };
    }
    accepted.options = accepted.options.with(ApOptions::MUTUAL_REQUIRED, false);
    accepted.acceptor_subkey = None;
    accepted.acceptor_sequence = 0;
    Ok(None)
}

/// Refuses an initiator in another channel than ours; says whether it is known to be in the same.
fn check_bindings(options: &AcceptorOptions, wanted: &Checksum<'_>, accepted: &Accepted) -> Result<bool> {
    let required = options.require_bindings || knows_bindings(accepted);
    match &options.bindings {
        None if options.require_bindings => {
            Err(Error::ChannelBindings("bindings are required, and there is no channel"))
        }
        None => Ok(false),
        Some(_) if wanted.bindings == ChannelBindings::NO_HASH && required => {
            Err(Error::ChannelBindings("the peer is not bound to a channel"))
        }
        Some(_) if wanted.bindings == ChannelBindings::NO_HASH => Ok(false),
        Some(ours) if ours.hash() == wanted.bindings => Ok(true),
        Some(_) => Err(Error::ChannelBindings("the peer is bound to another channel")),
    }
}

/// Whether the initiator says that it would have sent bindings, had it had a channel: whoever took
/// them out speaks through another one (MS-KILE 3.2.5.8, KERB_AP_OPTIONS_CBT).
fn knows_bindings(accepted: &Accepted) -> bool {
    const CBT: u32 = 0x4000;
    accepted.authz.iter().any(|element| {
        let options = element.data.first_chunk().map(|octets| u32::from_le_bytes(*octets));
        element.source == Source::Authenticator
            && element.kind == AuthDataType::AP_OPTIONS
            && options.is_some_and(|options| options & CBT != 0)
    })
}
