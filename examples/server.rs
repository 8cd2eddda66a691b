//! A small server with a pool of synthesizers: `GET /?text=…&voice=…&speed=…` answers with a WAV file.
//!
//!     cargo run --release --features text,voices --example server -- 127.0.0.1:8080
//!     curl 'http://127.0.0.1:8080/?text=Hello+there.&voice=bf_emma' -o hello.wav
//!
//! It shows how threads share a pool. What a server on the open net needs beside is not here: encryption, and limits to
//! how many may ask and how much.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kokoro_model::{METADATA, Pool, Runtime, Speaker, Synthesizer, SynthesizerOptions};

/// The longest request line that is read, in bytes.
const MAX_REQUEST: u64 = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address] = arguments.as_slice() else { return Err("expected: ADDRESS".into()) };
    let runtime = Runtime::load()?;
    // Two speak at once, with half of the processors each.
    let threads = std::thread::available_parallelism()?.get().div_ceil(2);
    let options = SynthesizerOptions::for_artifact(&METADATA).threads(threads);
    let pool = Pool::new(2, || Synthesizer::embedded_with(&runtime, &options))?;
    let listener = TcpListener::bind(address)?;
    println!("listening on http://{}", listener.local_addr()?);
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let pool = &pool;
            scope.spawn(move || {
                if let Err(error) = answer(stream, pool) {
                    eprintln!("{error}");
                }
            });
        }
    });
    Ok(())
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, pool: &Pool) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone()?.take(MAX_REQUEST));
    reader.read_line(&mut request)?;
    // The headers say nothing that matters here, but closing on unread bytes would reset the connection.
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, kind, body) = match speak(&request, pool) {
        Ok(wav) => ("200 OK", "audio/wav", wav),
        Err(error) => ("400 Bad Request", "text/plain; charset=utf-8", format!("{error}\n").into_bytes()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n")?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(&body)?;
    Ok(())
}

/// What a request line such as `GET /?text=Hello HTTP/1.1` asks for.
fn speak(request: &str, pool: &Pool) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut words = request.split_ascii_whitespace();
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else {
        return Err("expected `GET /?text=…`".into());
    };
    let query = target.strip_prefix("/?").ok_or("expected `GET /?text=…`")?;
    let (mut text, mut speaker, mut speed) = (String::new(), "af_heart".parse::<Speaker>()?, 1.0);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        match key.as_ref() {
            "text" => text = value.into_owned(),
            "voice" => speaker = value.parse()?,
            "speed" => speed = value.parse()?,
            other => {
                return Err(format!("`{other}` is not known, expected `text`, `voice` or `speed`").into());
            }
        }
    }
    Ok(pool.checkout().say(&text, speaker, speed)?.to_wav()?)
}
