//! CRC-32C (RFC 3720, B.4): the checksum that KMS asks for and gives, against bits that flip on their way.

/// The polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The checksum. Byte by byte and bit by bit: what is summed here has a few hundred bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

#[cfg(test)]
mod tests {
    use super::crc32c;

    /// The examples of RFC 3720, and the check value that catalogues of checksums give.
    #[test]
    fn it_is_the_published_one() {
        let up: Vec<u8> = (0..32).collect();
        let down: Vec<u8> = (0..32).rev().collect();
        let of: [(&[u8], u32); 6] = [
            (b"", 0),
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&up, 0x46dd_794e),
            (&down, 0x113f_db5c),
        ];
        for (bytes, sum) in of {
            assert_eq!(crc32c(bytes), sum, "{bytes:?}");
        }
    }
}
