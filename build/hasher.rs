//! Prints the SHA-256 digest of standard input. `digest.rs` compiles it, with optimization, into `OUT_DIR`.

mod sha256;

fn main() -> std::io::Result<()> {
    println!("{}", sha256::hex_digest(std::io::stdin().lock())?);
    Ok(())
}
