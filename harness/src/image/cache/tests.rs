use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::progress::Silent;
use super::*;

fn id() -> EntryId {
    EntryId::new(Kind::Image, "debian-12", &["bookworm"])
}

fn fill(directory: &Path) -> Result<(), CacheError> {
    fs::write(directory.join("kernel"), "k").map_err(failed("write", directory))
}

#[test]
fn directory_comes_from_the_first_variable_that_is_set() {
    let root = |pairs: &[(&str, &str)]| {
        Cache::from_variables(|name| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| PathBuf::from(value))
        })
        .map(|cache| cache.root)
    };
    let all = [
        ("CRASHDRILL_CACHE", "/c"),
        ("XDG_CACHE_HOME", "/x"),
        ("HOME", "/h"),
    ];
    assert_eq!(root(&all).unwrap(), Path::new("/c"));
    assert_eq!(root(&all[1..]).unwrap(), Path::new("/x/crashdrill"));
    assert_eq!(root(&all[2..]).unwrap(), Path::new("/h/.cache/crashdrill"));
    let relative = [("XDG_CACHE_HOME", "x"), ("HOME", "/h")];
    assert_eq!(root(&relative).unwrap(), Path::new("/h/.cache/crashdrill"));
    assert!(matches!(root(&[("HOME", "")]), Err(CacheError::Nowhere)));
}

#[test]
fn ids_differ_where_definitions_differ_and_never_leave_the_directory() {
    let new = |name: &str, definition: &[&str]| EntryId::new(Kind::Image, name, definition);
    assert_ne!(new("a", &["bc", "d"]), new("a", &["b", "cd"]));
    assert_eq!(new("a", &["b"]), new("a", &["b"]));
    let odd = new("../../etc", &[]).file_name();
    assert!(!odd.contains('/') && !odd.starts_with('.'), "{odd}");
}

#[test]
fn an_entry_is_filled_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let first = cache.entry(&id(), "x", &Silent, fill).unwrap();
    let again = cache
        .entry(&id(), "x", &Silent, |_| -> Result<(), CacheError> {
            panic!("filled twice")
        })
        .unwrap();
    assert_eq!(first.path, again.path);
    assert_eq!(fs::read(first.path.join("kernel")).unwrap(), b"k");
}

#[test]
fn a_failed_fill_leaves_neither_entry_nor_staging() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let error = cache.entry(&id(), "x", &Silent, |staging| {
        fill(staging)?;
        Err(CacheError::Nowhere)
    });
    assert!(matches!(error, Err(CacheError::Nowhere)));
    let left: Vec<_> = fs::read_dir(directory.path().join("image"))
        .unwrap()
        .map(|entry| file_name(&entry.unwrap().path()))
        .collect();
    assert!(left.iter().all(|name| name.ends_with(".lock")), "{left:?}");
    cache.entry(&id(), "x", &Silent, fill).unwrap();
}

#[test]
fn what_a_killed_process_left_is_swept_but_not_what_is_being_filled() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let images = directory.path().join("image");
    fs::create_dir_all(images.join(".dead-1.filling/deep")).unwrap();
    fs::create_dir_all(images.join(".alive-2.filling")).unwrap();
    let alive = open_lock(&images, "alive-2").unwrap();
    alive.lock().unwrap();
    cache.entry(&id(), "x", &Silent, fill).unwrap();
    assert!(!images.join(".dead-1.filling").exists());
    assert!(images.join(".alive-2.filling").exists());
    assert_eq!(cache.entries().unwrap().len(), 1);
}

#[test]
fn the_second_waits_for_the_first_and_says_so() {
    struct Log(Mutex<Vec<Step>>, Mutex<Option<std::sync::mpsc::Sender<()>>>);
    impl Progress for Log {
        fn report(&self, _: &str, step: &Step) {
            self.0.lock().unwrap().push(step.clone());
            if let Some(waiting) = self.1.lock().unwrap().take() {
                waiting.send(()).unwrap();
            }
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let fills = AtomicUsize::new(0);
    let (send, receive) = std::sync::mpsc::channel();
    let log = Log(Mutex::default(), Mutex::new(Some(send)));
    let (inside, entered) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Stays inside until the other says that it waits.
            let receive = receive;
            let inside = inside;
            cache
                .entry(&id(), "x", &Silent, |staging| {
                    fills.fetch_add(1, Ordering::SeqCst);
                    inside.send(()).unwrap();
                    receive.recv().unwrap();
                    fill(staging)
                })
                .unwrap();
        });
        entered.recv().unwrap();
        cache
            .entry(&id(), "x", &log, |staging| {
                fills.fetch_add(1, Ordering::SeqCst);
                fill(staging)
            })
            .unwrap();
    });
    assert_eq!(fills.into_inner(), 1);
    assert_eq!(log.0.into_inner().unwrap(), [Step::Waiting]);
}

#[test]
fn an_open_entry_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::at(directory.path());
    let open = cache.entry(&id(), "x", &Silent, fill).unwrap();
    let listed = cache.entries().unwrap();
    assert!(listed[0].name.starts_with("debian-12-") && listed[0].bytes > 0);
    assert!(matches!(
        cache.remove(&listed[0]),
        Err(CacheError::InUse { .. })
    ));
    drop(open);
    cache.remove(&listed[0]).unwrap();
    assert_eq!(cache.entries().unwrap(), []);
}
