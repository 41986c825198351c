//! A server for tests, on this machine: it answers as it is told, and well or badly.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Of [`Server::secure`].
pub(in super::super) const CERTIFICATE: &[u8] = include_bytes!("fixtures/certificate.der");

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Asked {
    /// `GET /path`.
    pub(in super::super) line: String,
    /// Where the part is to begin.
    pub(in super::super) from: Option<usize>,
    /// If it is still this version.
    pub(in super::super) version: Option<String>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(in super::super) struct Answer {
    pub(in super::super) head: String,
    pub(in super::super) body: Vec<u8>,
    pub(in super::super) end: End,
}

/// What comes behind the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum End {
    Close,
    /// Nothing, until the client gives up.
    Silence,
    /// The body again and again.
    Endless,
}

impl Answer {
    pub(in super::super) fn new(head: &str, body: &[u8]) -> Self {
        Self {
            head: head.to_owned(),
            body: body.to_owned(),
            end: End::Close,
        }
    }

    pub(in super::super) fn status(status: &str) -> Self {
        Self::new(&format!("{status}\r\nContent-Length: 0"), b"")
    }

    /// As a server should: a part of this version of the file if that is asked for, else all of it.
    pub(in super::super) fn file(asked: &Asked, body: &[u8], version: &str) -> Self {
        match asked.from {
            Some(from) if asked.version.as_deref() == Some(version) && from < body.len() => {
                let (end, total) = (body.len() - 1, body.len());
                let head = format!(
                    "206 Partial Content\r\nETag: {version}\r\nContent-Range: bytes \
                     {from}-{end}/{total}\r\nContent-Length: {}",
                    total - from
                );
                Self::new(&head, &body[from..])
            }
            _ => {
                let length = body.len();
                let head = format!("200 OK\r\nETag: {version}\r\nContent-Length: {length}");
                Self::new(&head, body)
            }
        }
    }

    /// The connection ends after so many bytes of the body.
    pub(in super::super) fn cut(mut self, after: usize) -> Self {
        self.body.truncate(after);
        self
    }

    pub(in super::super) fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

pub(in super::super) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` is given the number of the request, from 0.
    pub(in super::super) fn start(
        answer: impl FnMut(usize, &Asked) -> Answer + Send + 'static,
    ) -> Self {
        Self::over(answer, Some)
    }

    /// `wrap` puts TLS around a connection, if that is wanted.
    pub(in super::super) fn over<S: Read + Write>(
        mut answer: impl FnMut(usize, &Asked) -> Answer + Send + 'static,
        wrap: impl Fn(TcpStream) -> Option<S> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (log, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is its own business.
                let Some(mut stream) = stream.ok().and_then(&wrap) else {
                    continue;
                };
                let Some(request) = read(&mut stream) else {
                    continue;
                };
                let nth = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                let _ = write(&mut stream, &answer(nth, &request));
            }
        });
        Self {
            address,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// With TLS, as whoever the test says. The fixture is made with
    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj
    /// /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE`.
    pub(in super::super) fn secure(
        answer: impl FnMut(usize, &Asked) -> Answer + Send + 'static,
    ) -> Self {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(include_bytes!("fixtures/key.der").as_slice());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(CERTIFICATE)],
                PrivateKeyDer::from(key),
            )
            .unwrap();
        let config = Arc::new(config);
        Self::over(answer, move |stream| {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(rustls::StreamOwned::new(connection, stream))
        })
    }

    pub(in super::super) fn secure_url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.address)
    }

    pub(in super::super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// So far.
    pub(in super::super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let line = lines.next()?.ok()?;
    let mut asked = Asked {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        from: None,
        version: None,
    };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let from = value.strip_prefix("bytes=")?.strip_suffix('-')?;
                asked.from = Some(from.parse().ok()?);
            }
            "if-range" => asked.version = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(asked)
}

fn write<S: Read + Write>(stream: &mut S, answer: &Answer) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {}\r\nConnection: close\r\n\r\n",
        answer.head
    )?;
    stream.write_all(&answer.body)?;
    stream.flush()?;
    match answer.end {
        End::Close => Ok(()),
        End::Silence => std::io::copy(stream, &mut std::io::sink()).map(drop),
        End::Endless => loop {
            stream.write_all(&answer.body)?;
        },
    }
}
