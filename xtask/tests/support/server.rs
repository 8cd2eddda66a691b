//! An HTTP server of a few lines that does what the test says, well-behaved or not.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a client asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub if_range: Option<String>,
}

/// What a client gets.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    stalls: bool,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), stalls: false }.header("Content-Length", "0")
    }

    /// The whole body, its length declared.
    pub fn whole(body: &[u8]) -> Self {
        Self::bare(200, body).header("Content-Length", &body.len().to_string())
    }

    /// A body that goes on until the connection is closed.
    pub fn undeclared(body: &[u8]) -> Self {
        Self::bare(200, body)
    }

    /// The first `length` bytes of `body`, all of it declared: then the connection is closed.
    pub fn cut(body: &[u8], length: usize) -> Self {
        Self::bare(200, &body[..length]).header("Content-Length", &body.len().to_string())
    }

    /// The bytes from `from` on, said to begin at `said`.
    pub fn partial(body: &[u8], from: usize, said: usize) -> Self {
        let range = format!("bytes {said}-{}/{}", body.len() - 1, body.len());
        let rest = &body[from..];
        Self::bare(206, rest)
            .header("Content-Length", &rest.len().to_string())
            .header("Content-Range", &range)
    }

    fn bare(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), stalls: false }
    }

    /// Sends no more than `length` bytes of the body, whatever was declared.
    pub fn truncated(mut self, length: usize) -> Self {
        self.body.truncate(length);
        self
    }

    /// Sends `body` in place of the one there is, whatever was declared.
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.headers.retain(|(name, _)| name != "Content-Length");
        self.body = body.to_vec();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn etag(self, tag: &str) -> Self {
        self.header("ETag", &format!("\"{tag}\""))
    }

    /// Keeps the connection open, and silent, after what there is to send.
    pub fn stalls(mut self) -> Self {
        self.stalls = true;
        self
    }
}

/// Where `bytes=<from>-` begins.
pub fn from(request: &Request) -> Option<usize> {
    request.range.as_deref()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

/// A server on a port of its own. Its thread ends with the test's process.
pub struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    /// Answers request number `n`, counted from 0, with `answer(n, request)`.
    pub fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer)
    }

    /// As [`Server::start`], over TLS only. A client that is to trust it finds its certificate at `certificate`, for
    /// `SSL_CERT_FILE`.
    pub fn secure(
        certificate: &Path,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        fs_err::write(certificate, made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self::listen(Some(Arc::new(config)), answer)
    }

    fn listen(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (Arc::clone(&server.requests), Arc::clone(&server.connections));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                *connections.lock().unwrap() += 1;
                let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
                let tls = tls.clone();
                thread::spawn(move || {
                    let count = |request: &Request| {
                        let mut requests = requests.lock().unwrap();
                        requests.push(request.clone());
                        requests.len() - 1
                    };
                    match tls {
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            talk(StreamOwned::new(connection, stream), |it| answer(count(it), it));
                        }
                        None if is_tls(&stream) => refuse_tls(stream),
                        None => talk(stream, |it| answer(count(it), it)),
                    }
                });
            }
        });
        server
    }

    pub fn http(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn https(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Waits until there was a request.
    pub fn wait_for_a_request(&self) {
        let start = Instant::now();
        while self.requests().is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody asked");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether the client begins a TLS handshake: record type 22.
fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    stream.peek(&mut first).is_ok_and(|count| count == 1) && first == [22]
}

/// Answers as servers of plain HTTP do.
fn refuse_tls(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
}

fn talk(mut stream: impl Read + Write, answer: impl Fn(&Request) -> Reply) {
    if let Some(request) = read(&mut stream) {
        send(stream, &answer(&request));
    }
}

/// `None` for a client that hangs up early.
fn read(stream: &mut impl Read) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut request = Request { path: first.split(' ').nth(1)?.to_owned(), ..Request::default() };
    for line in lines {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(request);
        }
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "if-range" => request.if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    None
}

fn send(mut stream: impl Read + Write, reply: &Reply) {
    let mut head = format!("HTTP/1.1 {} Said\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head += "\r\n";
    // A client that has seen enough hangs up; that is its right.
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply.body));
    let sent = sent.and_then(|()| stream.flush());
    if sent.is_ok() && reply.stalls {
        // Returns once the client hangs up.
        let _ = stream.read(&mut [0]);
    }
}
