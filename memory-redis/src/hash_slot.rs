//! In which of its 16384 slots a Redis Cluster keeps a key.

use redis::{Arg, Cmd};

/// How many slots there are.
const COUNT: u16 = 16_384;

/// The slot of a key: that of its hash tag, where it has one.
pub(crate) fn of(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % COUNT
}

/// The key that decides where a command is sent; `None` where any server will do.
pub(crate) fn routing_key(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().map(|word| match word {
        Arg::Simple(bytes) => bytes,
        _ => b"",
    });
    match words.next()? {
        b"EVAL" | b"EVALSHA" => {
            let (_script, count) = (words.next()?, words.next()?);
            words.next().filter(|_| count != b"0")
        }
        b"PING" | b"TIME" | b"SCRIPT" | b"SCAN" | b"PUBLISH" | b"CLUSTER" => None,
        _ => words.next(),
    }
}

/// What lies between the first `{` and the next `}`, unless that is nothing.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|byte| *byte == b'{')?;
    let rest = &key[open + 1..];
    let length = rest.iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &rest[..length])
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use redis::cmd;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(of(b"foo"), 12_182);
        assert_eq!(of(b"{user1000}.following"), of(b"{user1000}.followers"));
        assert_eq!(of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % COUNT);
        assert_eq!(of(b"foo{{bar}}zap"), of(b"{bar"));
        assert_eq!(of(b"foo{bar}{zap}"), of(b"bar"));
        assert_eq!(of(b"foo{bar"), crc16(b"foo{bar") % COUNT);
    }

    #[test]
    fn commands_are_sent_by_their_first_key() {
        assert_eq!(routing_key(cmd("MGET").arg("a").arg("b")), Some(&b"a"[..]));
        assert_eq!(routing_key(cmd("EVALSHA").arg("hash").arg(2).arg("a").arg("b").arg("x")), Some(&b"a"[..]));
        assert_eq!(routing_key(cmd("EVAL").arg("return 1").arg(0).arg("x")), None);
        assert_eq!(routing_key(cmd("PING").arg("x")), None);
        assert_eq!(routing_key(cmd("SCRIPT").arg("LOAD").arg("return 1")), None);
    }
}
