//! A small server with a pool of synthesizers: `GET /?text=…&voice=…&speed=…` answers with a WAV file.
//!
//!     cargo run --release --features text,voices --example server -- 127.0.0.1:8080
//!     curl 'http://127.0.0.1:8080/?text=Hello+there.&voice=bf_emma' -o hello.wav
//!
//! It shows how threads share a pool, and how a stream that owns its synthesizer is sent while it is spoken; the body of a
//! response of an async server can hold it just as well. What a server on the open net needs beside is not here: encryption, and limits to
//! how many may ask and how much.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kokoro_model::{
    Audio, ErrorKind, METADATA, Pool, Reader, Runtime, SAMPLE_RATE, Speaker, SpeechStream, Synthesizer,
    SynthesizerOptions,
};

/// The longest request line that is read, in bytes.
const MAX_REQUEST: u64 = 16 << 10;

/// How long a request waits for a synthesizer.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let (status, body) = match asked(&request).and_then(|request| speech(pool, request)) {
        Ok(Some(speech)) => return send(stream, speech),
        Ok(None) => ("503 Service Unavailable\r\nRetry-After: 5", "all voices are busy".to_owned()),
        Err(error) => ("400 Bad Request", error.to_string()),
    };
    let length = body.len() + 1;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n"
    )?;
    write!(stream, "Connection: close\r\n\r\n{body}\n")?;
    Ok(())
}

/// What a request asks for.
struct Request {
    text: String,
    speaker: Speaker,
    speed: f32,
}

/// What a request line such as `GET /?text=Hello HTTP/1.1` asks for.
fn asked(line: &str) -> Result<Request, Box<dyn Error>> {
    let mut words = line.split_ascii_whitespace();
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
    Ok(Request { text, speaker, speed })
}

/// The speech, if there is a synthesizer for it in time. The text is read before one is taken, so that none is kept for what
/// cannot be said.
fn speech(pool: &Pool, request: Request) -> Result<Option<SpeechStream<'static>>, Box<dyn Error>> {
    let Request { text, speaker, speed } = request;
    let script = Reader::new(speaker.language()).read(&text)?;
    match pool.checkout_timeout(PATIENCE) {
        Ok(synthesizer) => Ok(Some(synthesizer.into_speech(script, speaker, speed)?)),
        Err(error) if matches!(error.kind(), ErrorKind::PoolBusy { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends each sentence as a chunk when it is spoken: a WAV file of which nobody knows yet how long it will be.
fn send(mut stream: TcpStream, speech: SpeechStream<'static>) -> Result<(), Box<dyn Error>> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n")?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    let mut chunk = |bytes: &[u8]| -> std::io::Result<()> {
        write!(stream, "{:x}\r\n", bytes.len())?;
        stream.write_all(bytes)?;
        stream.write_all(b"\r\n")
    };
    let mut header = Audio { samples: Vec::new(), sample_rate: SAMPLE_RATE }.to_wav()?;
    // The lengths of the file and of its sound, as programs write them that cannot know better.
    for length in [4..8, 40..44] {
        header[length].copy_from_slice(&[0xff; 4]);
    }
    chunk(&header)?;
    // When the client goes away, the next chunk fails, and the synthesizer is back in the pool.
    for utterance in speech {
        let samples = utterance?.audio.to_pcm16();
        chunk(&samples.into_iter().flat_map(i16::to_le_bytes).collect::<Vec<_>>())?;
    }
    chunk(&[])?;
    Ok(())
}
