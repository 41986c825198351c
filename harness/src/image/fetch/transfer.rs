//! One file from a server into its `.part`: on from where it was interrupted, and again when it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy};

use super::super::progress::{Progress, Step};
use super::downloads::Place;
use super::error::{FetchError, failed};
use super::remove;
use crate::units::Bytes;

/// Mirrors send on once or twice.
const REDIRECTS: u32 = 5;
/// A server that was never reached is no server that has a bad moment.
const TRIES_UNREACHED: u32 = 2;
/// What a server calls a version is stored, and sent back.
const LONGEST_VERSION: u64 = 1024;
/// Between two reports.
const REPORT: Duration = Duration::from_millis(250);

/// How servers are asked, and how long they are waited for. There is no limit on the whole: files are
/// large, lines slow.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// For a name, and for a connection.
    pub(super) connect: Duration,
    /// For the next byte.
    pub(super) silence: Duration,
    /// After the first failure; it doubles with each one.
    pub(super) pause: Duration,
    /// All in all.
    pub(super) tries: u32,
    pub(super) proxy: Option<Proxy>,
    /// Whose certificates are believed.
    pub(super) roots: RootCerts,
}

impl Client {
    /// Proxies are the environment's; whom to believe is for this machine to say, not for a list
    /// that we carry.
    pub(super) fn usual() -> Self {
        Self {
            connect: Duration::from_secs(20),
            silence: Duration::from_secs(60),
            pause: Duration::from_secs(1),
            tries: 6,
            proxy: Proxy::try_from_env(),
            roots: RootCerts::PlatformVerifier,
        }
    }

    fn agent(&self, https_only: bool) -> Agent {
        let tls = TlsConfig::builder()
            .root_certs(self.roots.clone())
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(self.proxy.clone())
            .https_only(https_only)
            .max_redirects(REDIRECTS)
            .http_status_as_error(false)
            // What comes is what has the digest, so nothing may be packed on the way.
            .accept_encoding("identity")
            .user_agent(concat!("crashdrill/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(self.connect))
            .timeout_connect(Some(self.connect))
            .timeout_recv_response(Some(self.silence))
            .timeout_per_read(Some(self.silence))
            .timeout_per_write(Some(self.silence));
        config.build().new_agent()
    }

    /// What is said of the proxy: without its password.
    fn proxy(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("{}:{} is used", proxy.host(), proxy.port()),
            None => "https_proxy names one; none is used".to_owned(),
        }
    }
}

pub(super) struct Transfer<'a> {
    pub(super) url: &'a str,
    pub(super) place: &'a Place,
    pub(super) most: Bytes,
    pub(super) client: &'a Client,
    pub(super) item: &'a str,
    pub(super) progress: &'a dyn Progress,
}

/// An attempt that did not bring the file.
enum Failed {
    /// The next one may.
    Again(String),
    /// None will.
    Never(FetchError),
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Self::Never(error)
    }
}

/// What has come of a file, and from which version of it.
struct Part {
    file: File,
    size: u64,
    version: Option<String>,
}

impl Transfer<'_> {
    /// The part is the whole file then, as far as the server says its size.
    pub(super) fn run(&self) -> Result<(), FetchError> {
        let agent = self.client.agent(self.url.starts_with("https://"));
        let mut reached = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let why = match self.attempt(&agent, &mut reached) {
                Ok(()) => return Ok(()),
                Err(Failed::Never(error)) => return Err(error),
                Err(Failed::Again(why)) => why,
            };
            let url = self.url.to_owned();
            if !reached && tries >= TRIES_UNREACHED.min(self.client.tries) {
                let proxy = self.client.proxy();
                return Err(FetchError::Unreachable { url, why, proxy });
            }
            if tries >= self.client.tries {
                return Err(FetchError::Broken { url, why, tries });
            }
            let step = Step::Downloading {
                percent: None,
                text: format!("{}: {why}; trying again", self.place.file_name()),
            };
            self.progress.report(self.item, &step);
            // Nobody unparks this thread; and it would only be tried again earlier.
            std::thread::park_timeout(self.client.pause * 2_u32.saturating_pow(tries - 1));
        }
    }

    fn attempt(&self, agent: &Agent, reached: &mut bool) -> Result<(), Failed> {
        let mut part = self.part()?;
        let mut request = agent.get(self.url);
        if let (1.., Some(version)) = (part.size, &part.version) {
            request = request
                .header(header::RANGE, format!("bytes={}-", part.size))
                .header(header::IF_RANGE, version);
        }
        let response = request.call().map_err(|error| self.judge(error))?;
        *reached = true;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = ContentRange::of(response.headers());
                let on = range.filter(|range| range.start == part.size && part.size > 0);
                match on {
                    Some(range) if version(response.headers()) == part.version => {
                        let total = range
                            .total
                            .or_else(|| part.size.checked_add(length(response.headers())?));
                        self.receive(response, part, total)
                    }
                    _ => {
                        self.place.forget()?;
                        let why = "the server sends another part of the file than was asked for";
                        Err(Failed::Again(why.to_owned()))
                    }
                }
            }
            StatusCode::OK => {
                let total = length(response.headers());
                self.restart(&mut part, response.headers())?;
                self.receive(response, part, total)
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.place.forget()?;
                Err(Failed::Again("the server's file has changed".to_owned()))
            }
            status
                if status.is_server_error()
                    || status == StatusCode::REQUEST_TIMEOUT
                    || status == StatusCode::TOO_MANY_REQUESTS =>
            {
                Err(Failed::Again(format!("the server answers {status}")))
            }
            status => Err(Failed::Never(FetchError::Status {
                url: self.url.to_owned(),
                status: status.to_string(),
            })),
        }
    }

    fn part(&self) -> Result<Part, FetchError> {
        let path = self.place.part();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed("open", &path))?;
        let size = file.metadata().map_err(failed("look at", &path))?.len();
        let path = self.place.version();
        let mut version = String::new();
        let read = File::open(&path)
            .and_then(|file| file.take(LONGEST_VERSION).read_to_string(&mut version));
        let version = match read {
            Ok(_) => Some(version),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("read", &path)(error)),
        };
        Ok(Part {
            file,
            size,
            version,
        })
    }

    /// Nothing of the part is of the version that comes now. It is without one until it is empty.
    fn restart(&self, part: &mut Part, headers: &HeaderMap) -> Result<(), FetchError> {
        let (path, version_path) = (self.place.part(), self.place.version());
        remove(&version_path)?;
        if part.size > 0 {
            part.file.set_len(0).map_err(failed("empty", &path))?;
            part.size = 0;
        }
        part.version = version(headers);
        if let Some(version) = &part.version {
            fs::write(&version_path, version).map_err(|error| self.unwritten(error))?;
        }
        Ok(())
    }

    fn receive(
        &self,
        response: Response<Body>,
        mut part: Part,
        total: Option<u64>,
    ) -> Result<(), Failed> {
        if total.is_some_and(|total| total > self.most.0) {
            self.place.forget()?;
            return Err(FetchError::too_large(self.url, total, self.most).into());
        }
        let path = self.place.part();
        let end = SeekFrom::Start(part.size);
        part.file.seek(end).map_err(failed("write", &path))?;
        let mut shown = Shown::new(self, part.size, total);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            shown.report(part.size);
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.judge(error.into())),
            };
            part.size += count as u64;
            if part.size > self.most.0 {
                self.place.forget()?;
                return Err(FetchError::too_large(self.url, None, self.most).into());
            }
            let new = &buffer[..count];
            let written = part.file.write_all(new);
            written.map_err(|error| self.unwritten(error))?;
        }
        match total {
            Some(total) if total != part.size => Err(Failed::Again(format!(
                "the connection ended after {} of {total} bytes",
                part.size
            ))),
            // The name of the whole file must not be on the disk before the file is.
            _ => Ok(part
                .file
                .sync_all()
                .map_err(|error| self.unwritten(error))?),
        }
    }

    fn unwritten(&self, source: io::Error) -> FetchError {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded => FetchError::Full {
                url: self.url.to_owned(),
                directory: self.place.directory().to_owned(),
            },
            _ => failed("write", &self.place.part())(source),
        }
    }

    fn judge(&self, error: ureq::Error) -> Failed {
        let url = self.url.to_owned();
        let certificate = |why: String| FetchError::Certificate {
            url: self.url.to_owned(),
            why,
        };
        Failed::Never(match error {
            ureq::Error::RequireHttpsOnly(to) => FetchError::Downgrade { url, to },
            ureq::Error::TooManyRedirects => {
                let most = REDIRECTS;
                FetchError::Redirects { url, most }
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => FetchError::Url {
                url,
                why: format!("no server can be asked for it ({error})"),
            },
            // What is said before the handshake: no certificate of this machine can be read.
            ureq::Error::Rustls(why) => certificate(why.to_string()),
            ureq::Error::Io(error) => {
                match error.get_ref().and_then(|inner| inner.downcast_ref()) {
                    Some(why @ rustls::Error::InvalidCertificate(_)) => {
                        certificate(why.to_string())
                    }
                    _ => return Failed::Again(error.to_string()),
                }
            }
            ureq::Error::Timeout(_) => {
                return Failed::Again("it was silent for too long".to_owned());
            }
            error => return Failed::Again(error.to_string()),
        })
    }
}

/// What If-Range can ask for (RFC 9110, 13.1.5): a strong entity tag, else the time of the last
/// change.
fn version(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::to_owned);
    let tag = text(header::ETAG).filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| text(header::LAST_MODIFIED))
        .filter(|version| !version.is_empty() && (version.len() as u64) < LONGEST_VERSION)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    text.parse().ok()
}

/// `Content-Range: bytes 10-19/20`, of which the end is not asked for.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    start: u64,
    /// `*` when the server does not know it.
    total: Option<u64>,
}

impl ContentRange {
    fn of(headers: &HeaderMap) -> Option<Self> {
        Self::parse(headers.get(header::CONTENT_RANGE)?.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (start, _) = range.split_once('-')?;
        Some(Self {
            start: start.parse().ok()?,
            total: match total {
                "*" => None,
                total => Some(total.parse().ok()?),
            },
        })
    }
}

/// Says how far it is, some times a second.
struct Shown<'a> {
    transfer: &'a Transfer<'a>,
    total: Option<u64>,
    /// When this attempt began, and with how many bytes.
    start: (Instant, u64),
    last: Option<Instant>,
}

impl<'a> Shown<'a> {
    fn new(transfer: &'a Transfer<'a>, size: u64, total: Option<u64>) -> Self {
        Self {
            transfer,
            total,
            start: (Instant::now(), size),
            last: None,
        }
    }

    fn report(&mut self, size: u64) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < REPORT) {
            return;
        }
        self.last = Some(now);
        let step = Step::Downloading {
            percent: self.total.map(|total| percent(size, total)),
            text: text(
                self.transfer.place.file_name(),
                size,
                self.total,
                size - self.start.1,
                now - self.start.0,
            ),
        };
        self.transfer.progress.report(self.transfer.item, &step);
    }
}

fn percent(size: u64, total: u64) -> f32 {
    (size as f64 * 100.0 / total.max(1) as f64).min(100.0) as f32
}

/// `kernel-1.rpm, 23.4 of 43.1 MiB, 3.2 MiB/s`. `new` bytes have come in this time.
fn text(name: &str, size: u64, total: Option<u64>, new: u64, time: Duration) -> String {
    let mib = |bytes: f64| format!("{:.1}", bytes / Bytes::MIB as f64);
    let mut text = format!("{name}, {}", mib(size as f64));
    if let Some(total) = total {
        text += &format!(" of {}", mib(total as f64));
    }
    text += " MiB";
    // The first bytes come at once and say nothing about the rest.
    if time >= REPORT {
        text += &format!(", {} MiB/s", mib(new as f64 / time.as_secs_f64()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let parse = |text| ContentRange::parse(text).map(|range| (range.start, range.total));
        assert_eq!(parse("bytes 10-19/20"), Some((10, Some(20))));
        assert_eq!(parse("bytes 10-19/*"), Some((10, None)));
        for wrong in ["", "bytes */20", "items 1-2/3", "bytes 1-2", "bytes -1-2/3"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn versions_that_can_be_asked_for() {
        let version = |pairs: &[(header::HeaderName, &'static str)]| {
            let pairs = pairs.iter().cloned();
            version(
                &pairs
                    .map(|(name, text)| (name, text.parse().unwrap()))
                    .collect(),
            )
        };
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let changed = (header::LAST_MODIFIED, date);
        let strong = version(&[(header::ETAG, "\"a\""), changed.clone()]);
        assert_eq!(strong.as_deref(), Some("\"a\""));
        let weak = version(&[(header::ETAG, "W/\"a\""), changed]);
        assert_eq!(weak.as_deref(), Some(date));
        assert_eq!(version(&[(header::ETAG, "W/\"a\"")]), None);
        assert_eq!(version(&[]), None);
    }

    #[test]
    fn what_is_shown() {
        let mib = |n: u64| n * Bytes::MIB;
        let slow = text(
            "k.rpm",
            mib(23),
            Some(mib(43)),
            mib(16),
            Duration::from_secs(5),
        );
        assert_eq!(slow, "k.rpm, 23.0 of 43.0 MiB, 3.2 MiB/s");
        let start = text("k.rpm", 0, None, 0, Duration::ZERO);
        assert_eq!(start, "k.rpm, 0.0 MiB");
        assert_eq!(percent(mib(1), mib(4)), 25.0);
        assert_eq!(percent(0, 0), 0.0);
    }
}
