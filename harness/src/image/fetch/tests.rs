use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use ureq::Proxy;
use ureq::tls::{Certificate, RootCerts};

use super::super::progress::Silent;
use super::server::{Answer, Asked, CERTIFICATE, End, Server};
use super::*;

const MOST: Bytes = Bytes(Bytes::MIB);

/// Waits for nothing, and not for long.
fn hasty() -> Client {
    Client {
        connect: Duration::from_secs(10),
        silence: Duration::from_secs(10),
        pause: Duration::ZERO,
        tries: 4,
        proxy: None,
        roots: RootCerts::PlatformVerifier,
    }
}

/// A cache of its own, and what is done with it.
struct Try {
    directory: tempfile::TempDir,
    cache: Cache,
    client: Client,
}

impl Try {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            cache: Cache::at(directory.path()),
            client: hasty(),
            directory,
        }
    }

    fn whole(&self, url: &str, sum: Option<&Sum>) -> Result<Fetched, String> {
        let wanted = Wanted { most: MOST, sum };
        download(url, wanted, &self.cache, &self.client, "image x", &Silent)
            .map_err(|error| error.to_string())
    }

    fn bytes(&self, url: &str, sum: Option<&Sum>) -> Result<Vec<u8>, String> {
        self.whole(url, sum)
            .map(|fetched| fs::read(fetched.path()).unwrap())
    }

    fn error(&self, url: &str) -> String {
        self.whole(url, None).unwrap_err()
    }

    /// Names of what lies there but the locks, without the hash.
    fn left(&self) -> Vec<String> {
        let read = fs::read_dir(self.directory.path().join("download"));
        let names = read.unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<String> = names
            .map(|name| name.into_string().unwrap())
            .filter(|name| !name.ends_with(".lock"))
            .map(|name| name.split_once('-').unwrap().1.to_owned())
            .collect();
        left.sort();
        left
    }
}

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn from(asked: &[Asked]) -> Vec<Option<usize>> {
    asked.iter().map(|asked| asked.from).collect()
}

#[test]
fn a_file_is_downloaded_once_until_it_is_discarded() {
    let body = sample(100_000);
    let sum = Sum::of(&body[..]).unwrap();
    let served = body.clone();
    let server = Server::start(move |_, asked| Answer::file(asked, &served, "\"1\""));
    let (it, url) = (Try::new(), server.url("a/kernel-1.rpm?x=/y"));
    // As a child has them until its exec.
    let mut inherited = Vec::new();
    for _ in 0..2 {
        let fetched = it.whole(&url, Some(&sum)).unwrap();
        assert!(fetched.is_download());
        assert_eq!(fs::read(fetched.path()).unwrap(), body);
        inherited.push(fetched.lease.as_ref().unwrap().try_clone().unwrap());
        assert_eq!(it.left(), ["kernel-1.rpm"]);
    }
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].line, "GET /a/kernel-1.rpm?x=/y");
    let mode = fs::metadata(it.directory.path().join("download")).unwrap();
    assert_eq!(mode.mode() & 0o777, 0o700);

    let (one, other) = (it.whole(&url, Some(&sum)), it.whole(&url, Some(&sum)));
    one.unwrap().discard().unwrap();
    assert_eq!(it.left(), ["kernel-1.rpm"], "the other one uses it");
    other.unwrap().discard().unwrap();
    assert_eq!(it.left(), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn wherever_it_is_cut_it_is_the_same_file(
        length in 1_usize..200_000,
        cuts in prop::collection::vec(0_usize..100_000, 0..3),
        elsewhere in prop::option::of(0_usize..4),
    ) {
        let bodies = [sample(length), vec![9; length]];
        let (served, pieces) = (bodies.clone(), cuts.clone());
        let server = Server::start(move |nth, asked| {
            // Another file is there from some moment on, or never.
            let other = elsewhere.is_some_and(|at| nth >= at);
            let version = if other { "\"2\"" } else { "\"1\"" };
            let answer = Answer::file(asked, &served[usize::from(other)], version);
            match pieces.get(nth) {
                Some(&after) => answer.cut(after),
                None => answer,
            }
        });
        let it = Try::new();
        let bytes = it.bytes(&server.url("f"), None).unwrap();
        prop_assert!(bodies.contains(&bytes));
        prop_assert!(elsewhere.is_some() || bytes == bodies[0]);
        prop_assert!(server.asked().len() <= cuts.len() + 1);
        prop_assert_eq!(it.left(), ["f"]);
    }
}

#[test]
fn it_goes_on_where_it_was_interrupted_in_the_next_process_too() {
    let body = sample(50_000);
    let served = body.clone();
    let server = Server::start(move |nth, asked| {
        let answer = Answer::file(asked, &served, "\"1\"");
        if nth < 5 { answer.cut(1000) } else { answer }
    });
    let (mut it, url) = (Try::new(), server.url("f"));
    let error = it.error(&url);
    assert!(error.contains("tried 4 times"), "{error}");
    assert!(
        error.contains(&url) && error.contains("; 4000 bytes of it are kept"),
        "{error}"
    );
    assert_eq!(it.left(), ["f.part", "f.part.version"]);
    it.client.tries = 2;
    assert_eq!(it.bytes(&url, None), Ok(body));
    let steps = [
        None,
        Some(1000),
        Some(2000),
        Some(3000),
        Some(4000),
        Some(5000),
    ];
    assert_eq!(from(&server.asked()), steps);
    assert_eq!(it.left(), ["f"]);
}

#[test]
fn it_starts_anew_when_it_cannot_go_on() {
    let new = sample(3000);
    let range = |head: &str| format!("206 Partial Content\r\n{head}\r\nContent-Length: 2000");
    let wrong = |head: &str| Answer::new(&range(head), &new[1000..]);
    for (what, answer) in [
        (
            "ranges are ignored",
            Answer::file(&nothing(), &new, "\"1\""),
        ),
        (
            "another version",
            wrong("ETag: \"2\"\r\nContent-Range: bytes 1000-2999/3000"),
        ),
        (
            "another place",
            wrong("ETag: \"1\"\r\nContent-Range: bytes 900-2999/3000"),
        ),
        ("no place", wrong("ETag: \"1\"")),
        ("out of range", Answer::status("416 Range Not Satisfiable")),
    ] {
        let served = new.clone();
        let server = Server::start(move |nth, asked| match nth {
            0 => Answer::file(asked, &[9; 3000], "\"1\"").cut(1000),
            1 => answer.clone(),
            _ => Answer::file(asked, &served, "\"2\""),
        });
        let it = Try::new();
        assert_eq!(
            it.bytes(&server.url("f"), None).as_ref(),
            Ok(&new),
            "{what}"
        );
        assert_eq!(server.asked()[1].from, Some(1000), "{what}");
        assert_eq!(
            server.asked()[1].version.as_deref(),
            Some("\"1\""),
            "{what}"
        );
    }
    // Nothing says which version that was.
    let server = Server::start(|nth, _| match nth {
        0 => Answer::new("200 OK\r\nContent-Length: 4", b"ab"),
        _ => Answer::new("200 OK\r\nContent-Length: 4", b"wxyz"),
    });
    assert_eq!(Try::new().bytes(&server.url("f"), None).unwrap(), b"wxyz");
    assert_eq!(from(&server.asked()), [None, None]);
}

fn nothing() -> Asked {
    Asked {
        line: String::new(),
        from: None,
        version: None,
    }
}

#[test]
fn a_server_need_not_know_the_size() {
    let server = Server::start(|_, asked| match asked.line.as_str() {
        "GET /chunked" => Answer::new(
            "200 OK\r\nTransfer-Encoding: chunked",
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        _ => Answer::new("200 OK", b"abcde"),
    });
    for path in ["chunked", "until-the-end"] {
        assert_eq!(Try::new().bytes(&server.url(path), None).unwrap(), b"abcde");
    }
}

#[test]
fn what_is_too_large_or_endless_is_refused_and_gone() {
    let block = vec![b'x'; 1 << 16];
    let mut chunk = b"10000\r\n".to_vec();
    chunk.extend(&block);
    chunk.extend(b"\r\n");
    let chunked = "200 OK\r\nETag: \"1\"\r\nTransfer-Encoding: chunked";
    for (answer, wanted) in [
        (
            Answer::new("200 OK\r\nContent-Length: 1048577", b""),
            "it has 1048577 bytes, but at most 1048576",
        ),
        (
            Answer::new("200 OK", &block).ending(End::Endless),
            "it goes on and on",
        ),
        (
            Answer::new(chunked, &chunk).ending(End::Endless),
            "it goes on and on",
        ),
    ] {
        let server = Server::start(move |_, _| answer.clone());
        let it = Try::new();
        let error = it.error(&server.url("f"));
        assert!(error.contains(wanted), "{error}");
        assert_eq!((server.asked().len(), it.left().len()), (1, 0));
    }
}

#[test]
fn a_short_body_is_never_taken_for_the_file() {
    for answer in [
        Answer::new("200 OK\r\nContent-Length: 20", b"0123456789"),
        Answer::new("200 OK\r\nTransfer-Encoding: chunked", b"14\r\n0123456789"),
        Answer::new(
            "200 OK\r\nTransfer-Encoding: chunked",
            b"a\r\n0123456789\r\n",
        ),
    ] {
        let server = Server::start(move |_, _| answer.clone());
        let it = Try::new();
        let error = it.error(&server.url("f"));
        assert!(error.contains("tried 4 times"), "{error}");
        assert_eq!(
            (server.asked().len(), it.left()),
            (4, vec!["f.part".into()])
        );
    }
    // More than it said is not the file either, if its digest is known.
    let server = Server::start(|_, _| Answer::new("200 OK\r\nContent-Length: 3", b"abcdef"));
    let sum = Sum::of(&b"abcdef"[..]).unwrap();
    let error = Try::new().bytes(&server.url("f"), Some(&sum)).unwrap_err();
    assert!(error.contains("SHA-256"), "{error}");
}

#[test]
fn a_wrong_digest_removes_the_download_and_says_both() {
    let server = Server::start(|_, asked| Answer::file(asked, b"evil", "\"1\""));
    let it = Try::new();
    let wanted = Sum::of(&b"good"[..]).unwrap();
    let found = Sum::of(&b"evil"[..]).unwrap();
    let url = server.url("f");
    let error = it.bytes(&url, Some(&wanted)).unwrap_err();
    for part in [&url, &wanted.to_string(), &found.to_string()] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(it.left(), [""; 0]);
}

#[test]
fn what_an_earlier_process_left_is_checked_again() {
    let server = Server::start(|_, asked| Answer::file(asked, b"good", "\"1\""));
    let (it, url) = (Try::new(), server.url("f"));
    let sum = Sum::of(&b"good"[..]).unwrap();
    let fetched = it.whole(&url, Some(&sum)).unwrap();
    fs::write(fetched.path(), "evil").unwrap();
    drop(fetched);
    assert_eq!(it.bytes(&url, Some(&sum)).unwrap(), b"good");
    // The same of a part: the last bytes may never have reached the disk.
    it.whole(&url, Some(&sum)).unwrap().discard().unwrap();
    let place = Place::new(&it.cache, &url, Some(&sum));
    fs::write(place.part(), "ev").unwrap();
    fs::write(place.version(), "\"1\"").unwrap();
    let error = it.bytes(&url, Some(&sum)).unwrap_err();
    assert!(error.contains("SHA-256"), "{error}");
    assert_eq!(it.bytes(&url, Some(&sum)).unwrap(), b"good");
}

#[test]
fn a_server_that_has_a_bad_moment_is_asked_again_and_one_that_has_no_such_file_is_not() {
    let answers = [
        "503 Service Unavailable",
        "500 Internal Server Error",
        "429 Slow",
    ];
    let server = Server::start(move |nth, asked| match answers.get(nth) {
        Some(status) => Answer::status(status),
        None => Answer::file(asked, b"abc", "\"1\""),
    });
    assert_eq!(Try::new().bytes(&server.url("f"), None).unwrap(), b"abc");

    for (status, asked) in [
        ("404 Not Found", 1),
        ("403 Forbidden", 1),
        ("304 Not Modified", 1),
        ("204 No Content", 1),
        ("502 Bad Gateway", 4),
    ] {
        let server = Server::start(move |_, _| Answer::status(status));
        let it = Try::new();
        let (url, error) = (server.url("f"), it.error(&server.url("f")));
        assert!(error.contains(&url) && error.contains(status), "{error}");
        assert_eq!(server.asked().len(), asked, "{status}");
        assert!(!error.contains("kept"), "{error}");
        assert_eq!(it.left(), [""; 0]);
    }
}

#[test]
fn redirects_are_followed_a_few_times() {
    let server = Server::start(|_, asked| match asked.line.as_str() {
        "GET /loop" => Answer::status("302 Found\r\nLocation: /loop"),
        "GET /a/old" => Answer::status("301 Moved Permanently\r\nLocation: new"),
        "GET /out" => Answer::status("302 Found\r\nLocation: ftp://127.0.0.1/f"),
        _ => Answer::file(asked, b"abc", "\"1\""),
    });
    let it = Try::new();
    assert_eq!(it.bytes(&server.url("a/old"), None).unwrap(), b"abc");
    assert_eq!(server.asked()[1].line, "GET /a/new");
    let error = it.error(&server.url("loop"));
    assert!(error.contains("more than 5 times"), "{error}");
    let before = server.asked().len();
    let error = it.error(&server.url("out"));
    assert!(error.contains("/out"), "{error}");
    assert!(server.asked().len() - before <= 4);
}

#[test]
fn a_server_is_believed_by_its_certificate_and_never_leaves_https() {
    let plain = Server::start(|_, asked| Answer::file(asked, b"evil", "\"1\""));
    let to = plain.url("f");
    let away = format!("302 Found\r\nLocation: {to}");
    let server = Server::secure(move |_, asked| match asked.line.as_str() {
        "GET /away" => Answer::status(&away),
        _ => Answer::file(asked, b"abc", "\"1\""),
    });
    let mut it = Try::new();
    let error = it.error(&server.secure_url("f"));
    assert!(error.contains("certificate is not trusted"), "{error}");
    it.client.roots = RootCerts::new_with_certs(&[Certificate::from_der(CERTIFICATE)]);
    assert_eq!(it.bytes(&server.secure_url("f"), None).unwrap(), b"abc");
    let error = it.error(&server.secure_url("away"));
    assert!(
        error.contains(&to) && error.contains("not encrypted"),
        "{error}"
    );
    // Where there was nothing to lose.
    let to = server.secure_url("f");
    let up = Server::start(move |_, _| Answer::status(&format!("302 Found\r\nLocation: {to}")));
    assert_eq!(it.bytes(&up.url("f"), None).unwrap(), b"abc");
    assert_eq!(plain.asked(), []);
}

#[test]
fn proxies_are_asked() {
    let server = Server::start(|_, asked| Answer::file(asked, b"abc", "\"1\""));
    let proxy = Server::start(|_, _| Answer::status("403 Forbidden"));
    let mut it = Try::new();
    it.client.proxy = Some(Proxy::new(&proxy.url("")).unwrap());
    let error = it.error(&server.url("f"));
    assert!(error.contains("proxy") && error.contains("403"), "{error}");
    assert!(proxy.asked()[0].line.starts_with("CONNECT 127.0.0.1:"));
    assert_eq!(server.asked(), []);
}

#[test]
fn silence_ends() {
    let silent = Answer::new("200 OK\r\nContent-Length: 9", b"abc").ending(End::Silence);
    let server = Server::start(move |_, _| silent.clone());
    let mut it = Try::new();
    it.client.silence = Duration::from_millis(50);
    it.client.tries = 2;
    let error = it.error(&server.url("f"));
    assert!(error.contains("silent"), "{error}");
    // Accepts, and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = it.error(&format!("http://{}/f", mute.local_addr().unwrap()));
    assert!(error.contains("silent"), "{error}");
}

#[test]
fn without_a_network_it_says_what_to_do() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let mut it = Try::new();
    let url = format!("http://{address}/f");
    let error = it.error(&url);
    for part in [&url, "refused", "network", "https_proxy", "manifest"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let proxy = format!("http://me:secret@{address}");
    it.client.proxy = Some(Proxy::new(&proxy).unwrap());
    let error = it.error("http://vault.invalid/f");
    assert!(error.contains(&format!("{address} is used")), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn two_processes_that_want_the_same_download_it_once() {
    struct Log(Mutex<Vec<Step>>, std::sync::mpsc::Sender<()>);
    impl Progress for Log {
        fn report(&self, _: &str, step: &Step) {
            self.0.lock().unwrap().push(step.clone());
            if *step == Step::Waiting {
                self.1.send(()).unwrap();
            }
        }
    }
    let (waits, waiting) = std::sync::mpsc::channel();
    let (asks, asked) = std::sync::mpsc::channel();
    // The first is answered when the second waits.
    let server = Server::start(move |_, request| {
        asks.send(()).unwrap();
        waiting.recv().unwrap();
        Answer::file(request, b"abc", "\"1\"")
    });
    let (it, url) = (Try::new(), server.url("f"));
    let log = Log(Mutex::default(), waits);
    let wanted = Wanted {
        most: MOST,
        sum: None,
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| it.bytes(&url, None));
        asked.recv().unwrap();
        let second = download(&url, wanted, &it.cache, &it.client, "x", &log).unwrap();
        assert_eq!(fs::read(second.path()).unwrap(), b"abc");
        assert_eq!(first.join().unwrap().unwrap(), b"abc");
    });
    assert_eq!(server.asked().len(), 1);
    assert_eq!(log.0.into_inner().unwrap(), [Step::Waiting]);
}

#[test]
fn a_full_disk_says_what_to_do() {
    let server = Server::start(|_, asked| Answer::file(asked, b"abc", "\"1\""));
    let (it, url) = (Try::new(), server.url("f"));
    let place = Place::new(&it.cache, &url, None);
    fs::create_dir(place.directory()).unwrap();
    symlink("/dev/full", place.part()).unwrap();
    let error = it.error(&url);
    assert!(error.contains("no space is left"), "{error}");
    assert!(error.contains("CRASHDRILL_CACHE"), "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn downloads_are_listed_and_removed_unless_they_are_in_use() {
    let server = Server::start(|_, asked| match asked.line.as_str() {
        "GET /cut" => Answer::file(asked, b"abcdef", "\"1\"").cut(4),
        _ => Answer::file(asked, b"abc", "\"1\""),
    });
    let mut it = Try::new();
    assert_eq!(downloads(&it.cache).unwrap(), []);
    it.client.tries = 1;
    it.error(&server.url("cut"));
    let used = it.whole(&server.url("used"), None).unwrap();
    drop(it.whole(&server.url("left"), None).unwrap());
    let listed = downloads(&it.cache).unwrap();
    let mut short: Vec<_> = listed
        .iter()
        .map(|one| (one.name.split_once('-').unwrap().1, one.bytes, one.complete))
        .collect();
    short.sort();
    assert_eq!(short, [("cut", 4, false), ("left", 3, true)]);

    let path = used.path().to_owned();
    let used_one = Download {
        name: file_name(&path),
        path,
        ..listed[0].clone()
    };
    let error = remove_download(&it.cache, &used_one).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    for download in &listed {
        remove_download(&it.cache, download).unwrap();
    }
    assert_eq!(it.left(), ["used"]);
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_file_of_this_machine_is_checked_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path().join("cache"));
    let (file, pipe) = (directory.path().join("file"), directory.path().join("pipe"));
    fs::write(&file, "abc").unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let get = |path: &Path, most: u64, sum: Option<&Sum>| {
        let location = Location::File(path.to_owned());
        fetch(&location, Bytes(most), sum, &cache, "x", &Silent).map_err(|error| error.to_string())
    };
    let sum = Sum::of(&b"abc"[..]).unwrap();
    let fetched = get(&file, 3, Some(&sum)).unwrap();
    assert!(!fetched.is_download());
    fetched.discard().unwrap();
    assert!(file.exists());
    let other = Sum::of(&b"abd"[..]).unwrap();
    for (path, most, sum, wanted) in [
        (&file, 2, None, "it has 3 bytes, but at most 2"),
        (&file, 3, Some(&other), "SHA-256"),
        (&pipe, 3, None, "no regular file"),
        (&directory.path().to_owned(), 3, None, "no regular file"),
        (&directory.path().join("none"), 3, None, "cannot open"),
    ] {
        let error = get(path, most, sum).unwrap_err();
        assert!(error.contains(wanted), "{wanted}: {error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
