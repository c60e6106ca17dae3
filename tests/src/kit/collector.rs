//! A collector of telemetry on loopback: takes what is posted, or does not.
#![expect(clippy::expect_used, reason = "a kit of tests: what is unexpected fails the test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a collector does with what is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Takes it.
    Takes,
    /// Says that it cannot.
    Refuses,
    /// Hears it and says nothing.
    Hangs,
    /// Takes it, and goes on to say something for ever, a byte at a time.
    Drips,
    /// Sends it on to another port.
    SendsTo(u16),
}

/// Something that was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its path.
    pub path: String,
    /// The head of the request, as it came.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// A collector. Its threads end with the test.
#[derive(Debug, Clone)]
pub struct Collector {
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Collector {
    /// Listens on a free port.
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&posted);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || serve(&stream, manner, &kept));
            }
        });
        Self { port, posted }
    }

    /// An endpoint where nobody listens.
    pub fn nowhere() -> String {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", free.local_addr().expect("an address"))
    }

    /// Its port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Everything that was posted so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().expect("no thread panics with it").clone()
    }

    /// The bodies that were posted for a signal: `traces`, `metrics`, `logs`.
    pub fn bodies(&self, signal: &str) -> Vec<Vec<u8>> {
        let path = format!("/v1/{signal}");
        self.posted().into_iter().filter(|p| p.path == path).map(|p| p.body).collect()
    }
}

/// An answer whose body comes a byte at a time, until nobody listens any more.
fn drip(mut stream: &TcpStream) {
    let mut piece: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n";
    while stream.write_all(piece).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(500));
        piece = b".";
    }
}

/// Reads requests of one connection until it ends.
fn serve(stream: &TcpStream, manner: Manner, kept: &Mutex<Vec<Posted>>) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match lines.read_line(&mut head) {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        let path = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
        kept.lock().expect("no thread panics with it").push(Posted { path, head, body });
        let status = match manner {
            Manner::Takes => "200 OK",
            Manner::Refuses => "503 Service Unavailable",
            Manner::Hangs => continue,
            Manner::Drips => return drip(stream),
            Manner::SendsTo(_) => "307 Temporary Redirect",
        };
        let place = match manner {
            Manner::SendsTo(port) => format!("location: http://127.0.0.1:{port}/v1/x\r\n"),
            _ => String::new(),
        };
        let answer = format!("HTTP/1.1 {status}\r\n{place}content-length: 0\r\n\r\n");
        if (&*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
