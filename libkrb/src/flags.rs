//! Bit sets of RFC 4120: ticket flags, KDC options, AP options. Bit 0 of the ASN.1 BIT STRING is
//! 0x8000_0000 here. Unknown bits survive.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

macro_rules! bit_set {
    ($place:ident, $(#[$doc:meta])* $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// No bit set.
            pub const NONE: $name = $name(0);
            $($(#[$flag_doc])* pub const $flag: $name = $name($crate::flags::$place($bit));)*

            /// Every known bit with its name, in wire order.
            pub const TABLE: &'static [($name, &'static str)] = &[$(($name::$flag, $label)),*];

            /// Whether every bit of `other` is set.
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any bit of `other` is set.
            pub const fn any(self, other: $name) -> bool {
                self.0 & other.0 != 0
            }

            /// This set with `other` added when `on`, else without it.
            #[must_use]
            pub const fn with(self, other: $name, on: bool) -> $name {
                if on { $name(self.0 | other.0) } else { $name(self.0 & !other.0) }
            }

            /// No bit set at all.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
        }

        impl BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name { $name(self.0 | other.0) }
        }
        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: $name) { self.0 |= other.0; }
        }
        impl BitAnd for $name {
            type Output = $name;
            fn bitand(self, other: $name) -> $name { $name(self.0 & other.0) }
        }
        impl Not for $name {
            type Output = $name;
            fn not(self) -> $name { $name(!self.0) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut left = self.0;
                let mut first = true;
                for (flag, label) in Self::TABLE.iter().filter(|(flag, _)| self.has(*flag)) {
                    left &= !flag.0;
                    write!(f, "{}{label}", if first { "" } else { ", " })?;
                    first = false;
                }
                if left != 0 {
                    write!(f, "{}{left:#010x}", if first { "" } else { ", " })?;
                }
                Ok(())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}
pub(crate) use bit_set;

/// Bits of an ASN.1 BIT STRING: bit 0 is the first one on the wire.
macro_rules! bits {
    ($($body:tt)*) => { bit_set!(from_the_left, $($body)*); };
}

/// Bits of a little-endian number: bit 0 is the lowest one.
macro_rules! little_bits {
    ($($body:tt)*) => {
        use std::fmt;
        use std::ops::{BitAnd, BitOr, BitOrAssign, Not};
        $crate::flags::bit_set!(from_the_right, $($body)*);
    };
}
pub(crate) use little_bits;

pub(crate) const fn from_the_left(bit: u32) -> u32 {
    1 << (31 - bit)
}

pub(crate) const fn from_the_right(bit: u32) -> u32 {
    1 << bit
}

bits! {
    /// TicketFlags (RFC 4120 5.3).
    TicketFlags {
        /// Tickets for other addresses may be derived from this TGT (2.6).
        FORWARDABLE = 1, "forwardable";
        /// Derived from a forwardable TGT.
        FORWARDED = 2, "forwarded";
        /// Service tickets for other addresses may be derived (2.5).
        PROXIABLE = 3, "proxiable";
        /// Derived from a proxiable TGT.
        PROXY = 4, "proxy";
        /// Postdated tickets may be derived from this TGT (2.4).
        MAY_POSTDATE = 5, "may-postdate";
        /// This ticket was postdated.
        POSTDATED = 6, "postdated";
        /// Must be validated by the KDC before use.
        INVALID = 7, "invalid";
        /// May be renewed until `renew-till` (2.3).
        RENEWABLE = 8, "renewable";
        /// Issued by an AS exchange, not from a TGT (2.1).
        INITIAL = 9, "initial";
        /// The client proved itself before the ticket was issued.
        PRE_AUTHENT = 10, "pre-authent";
        /// Hardware was part of the proof.
        HW_AUTHENT = 11, "hw-authent";
        /// The KDC checked the transited realms (2.7).
        TRANSITED_POLICY_CHECKED = 12, "transited-policy-checked";
        /// The service is trusted with delegated credentials (2.8).
        OK_AS_DELEGATE = 13, "ok-as-delegate";
        /// encrypted-pa-data is present in the reply (RFC 6806 11).
        ENC_PA_REP = 15, "enc-pa-rep";
        /// The client is anonymous (RFC 8062 3).
        ANONYMOUS = 16, "anonymous";
    }
}

bits! {
    /// KDCOptions (RFC 4120 5.4.1).
    KdcOptions {
        /// Ask for a forwardable ticket.
        FORWARDABLE = 1, "forwardable";
        /// Ask for a TGT for other addresses.
        FORWARDED = 2, "forwarded";
        /// Ask for a proxiable ticket.
        PROXIABLE = 3, "proxiable";
        /// Ask for a service ticket for other addresses.
        PROXY = 4, "proxy";
        /// Ask for a TGT that allows postdating.
        ALLOW_POSTDATE = 5, "allow-postdate";
        /// Ask for a ticket that starts later.
        POSTDATED = 6, "postdated";
        /// Ask for a renewable ticket.
        RENEWABLE = 8, "renewable";
        /// Constrained delegation (MS-SFU, S4U2Proxy).
        CNAME_IN_ADDL_TKT = 14, "cname-in-addl-tkt";
        /// The KDC may answer with other names or a referral (RFC 6806).
        CANONICALIZE = 15, "canonicalize";
        /// Ask for an anonymous ticket (RFC 8062).
        REQUEST_ANONYMOUS = 16, "request-anonymous";
        /// Do not check the transited realms.
        DISABLE_TRANSITED_CHECK = 26, "disable-transited-check";
        /// A renewable ticket will do if the wanted end time can't be had.
        RENEWABLE_OK = 27, "renewable-ok";
        /// Encrypt the ticket in the session key of the additional ticket (user-to-user).
        ENC_TKT_IN_SKEY = 28, "enc-tkt-in-skey";
        /// Renew the presented ticket.
        RENEW = 30, "renew";
        /// Validate the presented postdated ticket.
        VALIDATE = 31, "validate";
    }
}

bits! {
    /// APOptions (RFC 4120 5.5.1).
    ApOptions {
        /// The ticket is encrypted in the session key of the server's TGT.
        USE_SESSION_KEY = 1, "use-session-key";
        /// The client wants an AP-REP.
        MUTUAL_REQUIRED = 2, "mutual-required";
    }
}

bits! {
    /// FastOptions (RFC 6113 5.4.2).
    FastOptions {
        /// The reply shall not name the client where others can read it.
        HIDE_CLIENT_NAMES = 1, "hide-client-names";
    }
}

impl FastOptions {
    /// Whether an option is set that a KDC must know or else refuse the request, and that is not known
    /// here: bits 1 to 15 are critical.
    pub const fn unknown_critical(self) -> bool {
        const CRITICAL: u32 = 0x7fff_0000;
        self.0 & CRITICAL & !Self::HIDE_CLIENT_NAMES.0 != 0
    }
}

bits! {
    /// OTPFlags (RFC 6560 4.1).
    OtpFlags {
        /// The token's next value, after the one that was sent before.
        NEXT_OTP = 1, "next-otp";
        /// Made of the challenge and of the token's own state.
        COMBINE = 2, "combine";
        /// The value needs a PIN.
        COLLECT_PIN = 3, "collect-pin";
        /// The value needs none.
        DO_NOT_COLLECT_PIN = 4, "do-not-collect-pin";
        /// The value is not sent; keys are made of it.
        MUST_ENCRYPT_NONCE = 5, "must-encrypt-nonce";
        /// The PIN is sent apart from the value.
        SEPARATE_PIN_REQUIRED = 6, "separate-pin-required";
        /// The value ends with a check digit.
        CHECK_DIGIT = 7, "check-digit";
    }
}

bits! {
    /// PinFlags (RFC 6560 4.3).
    PinFlags {
        /// The system chose the PIN.
        SYSTEM_SET_PIN = 1, "system-set-pin";
        /// It must be changed.
        MANDATORY = 2, "mandatory";
    }
}

bits! {
    /// The options of PA-S4U-X509-USER (MS-SFU 2.2.2).
    S4uOptions {
        /// Refuse a user whom the policy keeps out at this hour.
        CHECK_LOGON_HOURS = 1, "check-logon-hours";
        /// Sign the reply for a usage of its own.
        USE_REPLY_KEY_USAGE = 2, "use-reply-key-usage";
    }
}

bits! {
    /// The flags of PA-PAC-OPTIONS (MS-KILE 2.2.10).
    PacOptions {
        /// The client knows claims.
        CLAIMS = 0, "claims";
        /// The client knows of domain controllers in branches.
        BRANCH_AWARE = 1, "branch-aware";
        /// The client wants a full domain controller.
        FORWARD_TO_FULL_DC = 2, "forward-to-full-dc";
        /// The service that is asked for may allow the delegation (MS-SFU 3.2.5.2).
        RESOURCE_BASED_DELEGATION = 3, "resource-based-delegation";
    }
}

impl TicketFlags {
    /// The letters that klist prints, in MIT's order ("FRIA").
    pub fn letters(self) -> String {
        const LETTERS: [(TicketFlags, char); 14] = [
            (TicketFlags::FORWARDABLE, 'F'),
            (TicketFlags::FORWARDED, 'f'),
            (TicketFlags::PROXIABLE, 'P'),
            (TicketFlags::PROXY, 'p'),
            (TicketFlags::MAY_POSTDATE, 'D'),
            (TicketFlags::POSTDATED, 'd'),
            (TicketFlags::INVALID, 'i'),
            (TicketFlags::RENEWABLE, 'R'),
            (TicketFlags::INITIAL, 'I'),
            (TicketFlags::HW_AUTHENT, 'H'),
            (TicketFlags::PRE_AUTHENT, 'A'),
            (TicketFlags::TRANSITED_POLICY_CHECKED, 'T'),
            (TicketFlags::OK_AS_DELEGATE, 'O'),
            (TicketFlags::ANONYMOUS, 'a'),
        ];
        LETTERS.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, letter)| letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_left_as_in_asn1() {
        assert_eq!(TicketFlags::FORWARDABLE.0, 0x4000_0000);
        assert_eq!(KdcOptions::VALIDATE.0, 1);
    }

    #[test]
    fn unknown_bits_survive_and_show() {
        let flags = TicketFlags(0x4000_0001);
        assert_eq!(flags.to_string(), "forwardable, 0x00000001");
    }

    #[test]
    fn letters_follow_klist() {
        let flags = TicketFlags::FORWARDABLE | TicketFlags::RENEWABLE | TicketFlags::INITIAL | TicketFlags::PRE_AUTHENT;
        assert_eq!(flags.letters(), "FRIA");
    }
}
