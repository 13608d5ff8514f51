//! Pre-authentication data (RFC 4120 5.2.7).

use super::der::{Decode, Encode, Reader, SEQUENCE, Writer, sequence};
use super::list::List;
use crate::codes::{EncryptionType, PaType};
use crate::error::Result;
use crate::time::Time;

/// METHOD-DATA (RFC 4120 5.9.1): what KDC_ERR_PREAUTH_REQUIRED carries in e-data.
pub type MethodData<'a> = List<'a, PaData<'a>>;

/// So many elements has an ordinary request.
const FEW: usize = 4;

/// The pre-authentication data of a request (RFC 4120 5.4.1). A KDC asks for one element after the other, and
/// often: the first few are read once.
#[derive(Clone, Copy)]
pub struct Padata<'a> {
    whole: MethodData<'a>,
    few: [PaData<'a>; FEW],
    count: usize,
    /// Those behind the first few.
    rest: MethodData<'a>,
}

impl<'a> Padata<'a> {
    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = PaData<'a>> + use<'a, '_> {
        self.few.iter().take(self.count).copied().chain(self.rest.iter())
    }

    /// The first element of a kind.
    pub fn get(&self, kind: PaType) -> Option<PaData<'a>> {
        let few = self.few.get(..self.count).unwrap_or_default();
        match few.iter().find(|element| element.kind == kind) {
            Some(element) => Some(*element),
            None if self.rest.is_empty() => None,
            None => self.rest.iter().find(|element| element.kind == kind),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> From<MethodData<'a>> for Padata<'a> {
    fn from(whole: MethodData<'a>) -> Self {
        let mut padata = Padata { whole, rest: whole.after(FEW), ..NONE };
        for (place, element) in padata.few.iter_mut().zip(whole.iter()) {
            *place = element;
            padata.count += 1;
        }
        padata
    }
}

const NONE: Padata<'_> = Padata {
    whole: List::Items(&[]),
    few: [PaData { kind: PaType(0), value: &[] }; FEW],
    count: 0,
    rest: List::Items(&[]),
};

impl Default for Padata<'_> {
    fn default() -> Self {
        NONE
    }
}

impl<'a> Decode<'a> for Padata<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self> {
        let contents = reader.expect(SEQUENCE, "SEQUENCE OF expected")?;
        let (mut padata, mut elements) = (Padata { whole: List::Der(contents), ..NONE }, Reader::new(contents));
        while !elements.is_empty() {
            let element = PaData::decode(&mut elements)?;
            if let Some(place) = padata.few.get_mut(padata.count) {
                *place = element;
                padata.count += 1;
                padata.rest = List::Der(elements.rest());
            }
        }
        Ok(padata)
    }
}

impl Encode for Padata<'_> {
    fn encode(&self, writer: &mut Writer) {
        self.whole.encode(writer);
    }
}

impl std::fmt::Debug for Padata<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.whole.fmt(f)
    }
}

sequence! {
    /// PA-DATA (RFC 4120 5.2.7).
    PaData<'a> {
        /// What `value` is.
        1 required kind: PaType,
        /// The data, often DER again.
        2 required value: &'a [u8],
    }
}

sequence! {
    /// PA-ENC-TS-ENC (RFC 4120 5.2.7.2), the plain text of PA-ENC-TIMESTAMP.
    PaEncTsEnc {
        /// The client's clock.
        0 required time: Time,
        /// Its microseconds.
        1 optional micros: u32,
    }
}

sequence! {
    /// ETYPE-INFO-ENTRY (RFC 4120 5.2.7.4).
    EtypeInfoEntry<'a> {
        /// An enctype the client may use.
        0 required etype: EncryptionType,
        /// The salt; absent: the default one.
        1 optional salt: &'a [u8],
    }
}

sequence! {
    /// ETYPE-INFO2-ENTRY (RFC 4120 5.2.7.5).
    EtypeInfo2Entry<'a> {
        /// An enctype the client may use.
        0 required etype: EncryptionType,
        /// The salt; absent: the default one.
        1 optional salt: &'a str,
        /// String-to-key parameters; absent: the enctype's default.
        2 optional s2kparams: &'a [u8],
    }
}

sequence! {
    /// KERB-PA-PAC-REQUEST (MS-KILE 2.2.3).
    PaPacRequest {
        /// Whether the ticket shall carry a PAC.
        0 required include_pac: bool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    #[test]
    fn the_elements_of_a_request_are_all_there_in_their_order_however_many() {
        let values: Vec<_> = (0..10_u8).map(|number| vec![number; usize::from(number)]).collect();
        let elements: Vec<_> = values.iter().map(|value| PaData { kind: PaType(value.len() as i32), value }).collect();
        for count in 0..elements.len() {
            let made = Padata::from(List::Items(&elements[..count]));
            let octets = wire::encode(&made);
            let read = wire::decode::<Padata<'_>>(&octets).unwrap();
            let again = Padata::from(wire::decode::<MethodData<'_>>(&octets).unwrap());
            for padata in [made, read, again] {
                let values: Vec<_> = padata.iter().map(|element| (element.kind.0 as usize, element.value)).collect();
                let wanted: Vec<_> =
                    elements[..count].iter().map(|element| (element.value.len(), element.value)).collect();
                assert_eq!((values, padata.is_empty()), (wanted, count == 0));
                assert_eq!(wire::encode(&padata), octets);
            }
        }
    }
}
