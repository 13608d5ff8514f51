//! The fields of a protobuf message, read where they stand: nothing is copied that is not wanted. Not
//! here: what they mean.

/// What is no such message.
pub(in crate::store) struct Torn;

/// The fields of a message in the order in which they were written.
pub(super) struct Fields<'a>(pub &'a [u8]);

/// A field's value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Octets(&'a [u8]),
    /// Of a length that nothing here has: a newer version's.
    Other,
}

/// The fields of a message that come after the last one that is known here, as they stand.
pub(in crate::store) fn beyond(message: &[u8], last: u64) -> Result<Vec<u8>, Torn> {
    let (mut fields, mut beyond) = (Fields(message), vec![]);
    while let Some((field, octets)) = fields.next_whole() {
        if field?.0 > last {
            beyond.extend_from_slice(octets);
        }
    }
    Ok(beyond)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Torn>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Torn))
    }
}

impl<'a> Fields<'a> {
    /// The next field, and all of its octets.
    #[inline]
    pub fn next_whole(&mut self) -> Option<(<Self as Iterator>::Item, &'a [u8])> {
        let before = self.0;
        let field = self.next()?;
        let length = before.len().saturating_sub(self.0.len());
        Some((field, before.get(..length).unwrap_or_default()))
    }

    #[inline]
    fn read(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.octets(8).map(|_| Value::Other)?,
            2 => {
                let length = self.number()?;
                Value::Octets(self.octets(usize::try_from(length).ok()?)?)
            }
            5 => self.octets(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    #[inline]
    fn octets(&mut self, length: usize) -> Option<&'a [u8]> {
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(octets)
    }

    /// Seven bits an octet, the lowest first.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        match self.0.split_first() {
            Some((octet, rest)) if octet & 0x80 == 0 => {
                self.0 = rest;
                Some(u64::from(*octet))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (octet, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Value<'a> {
    pub fn number(self) -> Result<u64, Torn> {
        if let Value::Number(number) = self { Ok(number) } else { Err(Torn) }
    }

    /// A number of 32 bits, written without a sign.
    pub fn short(self) -> Result<u32, Torn> {
        Ok(self.number()? as u32)
    }

    /// A number whose lowest bit is its sign.
    pub fn signed(self) -> Result<i64, Torn> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub fn octets(self) -> Result<&'a [u8], Torn> {
        if let Value::Octets(octets) = self { Ok(octets) } else { Err(Torn) }
    }

    pub fn text(self) -> Result<&'a str, Torn> {
        std::str::from_utf8(self.octets()?).map_err(|_| Torn)
    }
}
