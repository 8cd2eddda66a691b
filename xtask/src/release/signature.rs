//! The signature of `SHA256SUMS`, as minisign makes and checks it.
//!
//! Ed25519 over the BLAKE2b of the file, and once more over that signature and the trusted comment. Both follow from key
//! and file, so a release that is signed again is the same.
//!
//! The crate `minisign` reads the key, but signs with random bytes, so `ring` signs. One spelling
//! of a signature is taken where minisign takes several, so no byte of one can change unseen.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use minisign::SecretKeyBox;
use minisign_verify::{PublicKey, Signature};
use ring::signature::Ed25519KeyPair;

use crate::environment::Secret;
use crate::failure::Failure;

const UNTRUSTED: &str = "untrusted comment: ";
const TRUSTED: &str = "trusted comment: ";

/// What stands in the line that the signature does not cover.
const COMMENT: &str = "minisign signature of SHA256SUMS";

/// The name that minisign gives to Ed25519 over a BLAKE2b digest.
const PREHASHED: [u8; 2] = *b"ED";

/// Bytes of the algorithm that makes a key of a password.
const KDF: std::ops::Range<usize> = 2..4;
/// The key has no password.
const NO_PASSWORD: [u8; 2] = [0; 2];

/// Bytes of a key's id, which stand behind its algorithms, salt and limits.
const KEY_ID: std::ops::Range<usize> = 54..62;
/// Bytes of the seed, and of the public key behind it.
const SEED: std::ops::Range<usize> = 62..94;
const PUBLIC: std::ops::Range<usize> = 94..126;

/// Signs with a secret key.
pub struct Signer {
    id: [u8; 8],
    key: Ed25519KeyPair,
}

impl Signer {
    /// Reads a secret key of minisign. A key with a password takes `password`; without one it is asked for on the terminal.
    ///
    /// # Errors
    /// [`Failure::Usage`]: no key, or not its password.
    pub fn read(path: &Path, password: Option<&Secret>) -> Result<Self> {
        let complaint = || format!("`{}` is no secret key that can be used", path.display());
        let text = fs_err::read_to_string(path).context(Failure::Usage)?;
        Self::of(&text, password).with_context(complaint).context(Failure::Usage)
    }

    fn of(text: &str, password: Option<&Secret>) -> Result<Self> {
        let line = text.lines().nth(1).context("expected a comment and a key below it")?;
        let stored = STANDARD.decode(line).context("expected a key in Base64")?;
        let bytes = if stored.get(KDF) == Some(&NO_PASSWORD[..]) {
            // Of such a key minisign 0.11 leaves the checksum out, and the crate refuses it. That both halves of the
            // key fit is checked below.
            stored
        } else {
            SecretKeyBox::from(text.to_owned())
                .into_secret_key(password.map(|it| it.reveal().to_owned()))
                .map_err(|error| anyhow!("{error}"))?
                .to_bytes()
        };
        let part = |range: std::ops::Range<usize>| bytes.get(range).context("the key is too short");
        let key = Ed25519KeyPair::from_seed_and_public_key(part(SEED)?, part(PUBLIC)?)
            .map_err(|error| anyhow!("{error}"))?;
        Ok(Self { id: part(KEY_ID)?.try_into()?, key })
    }

    /// The signature of `bytes`, the release `name`'s `SHA256SUMS`.
    pub(super) fn sign(&self, bytes: &[u8], name: &str) -> String {
        let signature = self.key.sign(&Blake2b512::digest(bytes));
        let comment = trusted_comment(name);
        let global = self.key.sign(&[signature.as_ref(), comment.as_bytes()].concat());
        let whole = [&PREHASHED[..], &self.id, signature.as_ref()].concat();
        format!(
            "{UNTRUSTED}{COMMENT}\n{}\n{TRUSTED}{comment}\n{}\n",
            STANDARD.encode(whole),
            STANDARD.encode(global.as_ref())
        )
    }
}

/// The release whose `SHA256SUMS` are `bytes`, by a signature of them that the key in the file `key` made. More than
/// minisign, it takes one spelling only, so that no byte of a signature can be changed unseen.
///
/// # Errors
/// [`Failure::Usage`] for a file without a public key; else, inside, what is wrong with the signature.
pub(super) fn check(signature: &[u8], bytes: &[u8], key: &Path) -> Result<Result<String>> {
    let text = fs_err::read_to_string(key).context(Failure::Usage)?;
    let key = PublicKey::decode(text.trim())
        .or_else(|_| PublicKey::from_base64(text.trim()))
        .map_err(|error| anyhow!("`{}` is no public key of minisign: {error}", key.display()))
        .context(Failure::Usage)?;
    Ok(check_by(signature, bytes, &key))
}

fn check_by(signature: &[u8], bytes: &[u8], key: &PublicKey) -> Result<String> {
    let name = signed(signature)?;
    let signature = Signature::decode(std::str::from_utf8(signature)?).map_err(|error| anyhow!("{error}"))?;
    key.verify(bytes, &signature, false).map_err(|error| anyhow!("{error}"))?;
    Ok(name)
}

/// The release that a signature says it is of, if it is written as [`Signer::sign`] writes it.
///
/// # Errors
/// The line that is not.
pub(super) fn signed(signature: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(signature).context("expected text in UTF-8")?;
    let lines: Vec<&str> = text.split('\n').collect();
    let [untrusted, first, trusted, second, ""] = lines[..] else {
        return Err(anyhow!("expected four lines, found {}", text.lines().count()));
    };
    let expected = format!("{UNTRUSTED}{COMMENT}");
    ensure!(untrusted == expected, "expected `{expected}`, found `{untrusted}`");
    let expected = trusted_comment("");
    let name = trusted.strip_prefix(TRUSTED).and_then(|comment| comment.strip_prefix(&expected));
    let name = name.with_context(|| format!("expected `{TRUSTED}{expected}…`, found `{trusted}`"))?;
    for (line, bytes) in [(first, 74), (second, 64)] {
        let decoded = STANDARD.decode(line).with_context(|| format!("`{line}`"))?;
        ensure!(decoded.len() == bytes, "`{line}`: expected {bytes} bytes, found {}", decoded.len());
    }
    Ok(name.to_owned())
}

fn trusted_comment(name: &str) -> String {
    format!("SHA256SUMS of {name}")
}

#[cfg(test)]
mod tests {
    use minisign::KeyPair;

    use super::*;

    fn pair() -> (Signer, PublicKey) {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let signer = Signer::of(&sk.to_box(None).unwrap().to_string(), None).unwrap();
        (signer, PublicKey::from_base64(&pk.to_base64()).unwrap())
    }

    #[test]
    fn a_signature_is_good_for_one_key_one_file_and_one_name_and_always_the_same() {
        let ((signer, key), (_, other)) = (pair(), pair());
        let signature = signer.sign(b"sums", "a.b");
        assert_eq!(signature, signer.sign(b"sums", "a.b"));
        assert_eq!(check_by(signature.as_bytes(), b"sums", &key).unwrap(), "a.b");
        check_by(signature.as_bytes(), b"sums", &other).unwrap_err();
        check_by(signature.as_bytes(), b"Sums", &key).unwrap_err();
        let renamed = signature.replace("of a.b", "of a.c");
        check_by(renamed.as_bytes(), b"sums", &key).unwrap_err();
    }

    #[test]
    fn no_byte_of_a_signature_can_be_changed() {
        let (signer, key) = pair();
        let signature = signer.sign(b"sums", "a.b").into_bytes();
        for at in 0..signature.len() {
            for change in [1, 0x20, 0x80] {
                let mut changed = signature.clone();
                changed[at] ^= change;
                assert!(check_by(&changed, b"sums", &key).is_err(), "byte {at} with {change}");
            }
        }
        assert!(check_by(&signature[..signature.len() - 1], b"sums", &key).is_err());
        assert!(check_by(&[&signature[..], b"\n"].concat(), b"sums", &key).is_err());
    }

    #[test]
    fn a_key_without_password_needs_no_checksum_and_one_whose_halves_do_not_fit_is_none() {
        let KeyPair { sk, .. } = KeyPair::generate_unencrypted_keypair().unwrap();
        let text = |bytes: &[u8]| format!("untrusted comment: key\n{}\n", STANDARD.encode(bytes));
        let mut bytes = sk.to_bytes();
        bytes[PUBLIC.end..].fill(0);
        let signer = Signer::of(&text(&bytes), None).unwrap();
        assert_eq!(
            signer.sign(b"sums", "a.b"),
            Signer::of(&text(&sk.to_bytes()), None).unwrap().sign(b"sums", "a.b")
        );
        bytes[SEED.start] ^= 1;
        assert!(Signer::of(&text(&bytes), None).is_err());
        assert!(Signer::of(&text(&bytes[..100]), None).is_err());
    }

    #[test]
    fn minisign_itself_takes_the_signature() {
        let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().unwrap();
        let signer = Signer::of(&sk.to_box(None).unwrap().to_string(), None).unwrap();
        let signature = minisign::SignatureBox::from_string(&signer.sign(b"sums", "a.b")).unwrap();
        minisign::verify(&pk, &signature, std::io::Cursor::new(b"sums"), true, false, false).unwrap();
    }
}
