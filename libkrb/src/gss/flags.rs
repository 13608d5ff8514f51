//! What a context offers: the flags of RFC 4121 4.1.1.1, RFC 4757 7.1 and MS-KILE 3.2.5.2.

use crate::flags::little_bits;

little_bits! {
    /// What is wanted of a context, or what it offers (RFC 2743 1.2). Unknown bits survive.
    ContextFlags {
        /// The initiator hands on its ticket-granting ticket.
        DELEGATE = 0, "delegate";
        /// The acceptor proves itself too.
        MUTUAL = 1, "mutual";
        /// A message that comes twice is refused.
        REPLAY = 2, "replay";
        /// Messages are to come in order and without a gap.
        SEQUENCE = 3, "sequence";
        /// Messages may be encrypted.
        CONFIDENTIALITY = 4, "confidentiality";
        /// Messages may be signed.
        INTEGRITY = 5, "integrity";
        /// Three legs as DCE has them; not supported.
        DCE_STYLE = 12, "dce-style";
        /// The acceptor may identify the initiator, but not act for it.
        IDENTIFY = 13, "identify";
        /// Errors are told in more detail.
        EXTENDED_ERROR = 14, "extended-error";
    }
}

impl ContextFlags {
    /// What a careful initiator asks for: all but delegation.
    pub const DEFAULT: ContextFlags = ContextFlags(
        ContextFlags::MUTUAL.0
            | ContextFlags::REPLAY.0
            | ContextFlags::SEQUENCE.0
            | ContextFlags::CONFIDENTIALITY.0
            | ContextFlags::INTEGRITY.0,
    );

    /// What a peer can mean; it may send more (RFC 4121 4.1.1.1).
    pub(super) const KNOWN: ContextFlags = ContextFlags(
        ContextFlags::DEFAULT.0
            | ContextFlags::DELEGATE.0
            | ContextFlags::DCE_STYLE.0
            | ContextFlags::IDENTIFY.0
            | ContextFlags::EXTENDED_ERROR.0,
    );
}
