use qapi::qmp;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);
const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 3, "minor": 1, "major": 11}, "package": "x"}, "capabilities": ["oob", "later"]}}"#;

/// Plays QEMU: writes the greeting, then for every line read writes the next of `answers`, where
/// `ID` stands for the command's id. Closes after the last.
async fn play(socket: UnixStream, greeting: &str, answers: &[&str]) {
    let (reader, mut writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(greeting.as_bytes()).await.unwrap();
    writer.write_all(b"\r\n").await.unwrap();
    for answer in answers {
        let Some(line) = lines.next_line().await.unwrap() else {
            return;
        };
        let command: Value = serde_json::from_str(&line).unwrap();
        let answer = answer.replace("ID", &command["id"].to_string());
        writer.write_all(answer.as_bytes()).await.unwrap();
        writer.write_all(b"\r\n").await.unwrap();
    }
}

/// `body` against a QEMU that answers `qmp_capabilities` and then with `answers`.
fn with_qemu<T>(answers: &[&str], body: impl AsyncFnOnce(Qmp) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut all = vec![r#"{"return": {}, "id": ID}"#];
        all.extend(answers);
        let client = async { body(Qmp::negotiate(ours, LIMIT).await.unwrap()).await };
        tokio::join!(client, play(theirs, GREETING, &all)).0
    })
}

#[test]
fn events_overtake_answers_and_unknown_ones_survive() {
    with_qemu(
        &[concat!(
            r#"{"event": "SOMETHING_NEW", "data": {"mode": "unheard-of"}, "timestamp": {"seconds": 1, "microseconds": 5}}"#,
            "\n",
            r#"{"return": {"running": true, "singlestep": false, "status": "running"}, "id": ID}"#,
            "\n",
            r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "from-a-newer-qemu"}, "timestamp": {"seconds": -1, "microseconds": -1}}"#,
        )],
        async |mut qmp| {
            assert_eq!(qmp.version().to_string(), "11.1.3");
            let status = qmp.execute(qmp::query_status {}, LIMIT).await.unwrap();
            assert!(status.running);
            let event = qmp.next_event().await.unwrap();
            assert_eq!(event.name, "SOMETHING_NEW");
            assert_eq!(event.data, json!({"mode": "unheard-of"}));
            assert_eq!(event.timestamp, Some(Duration::new(1, 5000)));
            assert_eq!(event.known(), None);
            let shutdown = Shutdown {
                guest: true,
                reason: "from-a-newer-qemu".to_owned(),
            };
            let event = qmp.next_event().await.unwrap();
            assert_eq!(event.timestamp, None);
            assert_eq!(event.known(), Some(Known::Shutdown(shutdown.clone())));
            assert!(matches!(qmp.next_event().await, Err(QmpError::Closed)));
            assert_eq!(qmp.shutdown(), Some(&shutdown));
        },
    );
}

#[test]
fn an_answer_of_another_type_does_not_end_the_conversation() {
    with_qemu(
        &[
            r#"{"return": {"running": true, "singlestep": false, "status": "pondering"}, "id": ID}"#,
            r#"{"error": {"class": "NewClass", "desc": "not today"}, "id": ID}"#,
            r#"{"return": {"extra": 1}, "id": ID}"#,
        ],
        async |mut qmp| {
            let error = qmp.execute(qmp::query_status {}, LIMIT).await.unwrap_err();
            assert!(matches!(error, QmpError::Unexpected { .. }), "{error}");
            let error = qmp.execute(qmp::cont {}, LIMIT).await.unwrap_err();
            assert_eq!(error.to_string(), "QEMU refused `cont`: not today");
            qmp.execute(qmp::stop {}, LIMIT).await.unwrap();
        },
    );
}

#[test]
fn a_late_answer_is_not_taken_for_another() {
    with_qemu(
        &[
            "",
            "{\"return\": \"late\", \"id\": 2}\n{\"return\": \"in time\", \"id\": ID}",
        ],
        async |mut qmp| {
            let limit = Duration::from_millis(1);
            let error = qmp.execute_raw("slow", json!({}), limit).await.unwrap_err();
            assert!(matches!(
                error,
                QmpError::Timeout {
                    command: "slow",
                    ..
                }
            ));
            let answer = qmp.execute_raw("quick", json!({}), LIMIT).await.unwrap();
            assert_eq!(answer, "in time");
        },
    );
}

#[test]
fn garbage_is_an_error_that_shows_it() {
    for garbage in ["Segmentation fault", "[1]", "{\"retur", "{\"neither\": 1}"] {
        with_qemu(&[garbage], async |mut qmp| {
            let error = qmp.execute(qmp::stop {}, LIMIT).await.unwrap_err();
            assert!(matches!(error, QmpError::NotQmp(_)), "{error}");
        });
    }
}

#[test]
fn nothing_grows_without_bound() {
    let long = "x".repeat(MAX_LINE + 1);
    with_qemu(&[&long], async |mut qmp| {
        let error = qmp.execute(qmp::stop {}, LIMIT).await.unwrap_err();
        assert!(matches!(error, QmpError::LineTooLong), "{error}");
    });
    let events = "{\"event\": \"E\"}\n".repeat(MAX_EVENTS + 1);
    with_qemu(&[&events], async |mut qmp| {
        let error = qmp.execute(qmp::stop {}, LIMIT).await.unwrap_err();
        assert!(matches!(error, QmpError::TooManyEvents), "{error}");
    });
}

#[test]
fn half_a_greeting() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"{\"QMP\": {").await.unwrap();
        let error = Qmp::negotiate(ours, Duration::from_millis(20)).await;
        assert!(matches!(error, Err(QmpError::Timeout { .. })));
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"{\"QMP\": {").await.unwrap();
        drop(theirs);
        let error = Qmp::negotiate(ours, LIMIT).await;
        assert!(matches!(error, Err(QmpError::Closed)));
    });
}

#[test]
fn a_disk_that_the_host_cannot_write() {
    let line = json!({
        "event": "BLOCK_IO_ERROR",
        "data": {
            "device": "", "node-name": "disk-nvme-0", "operation": "write", "action": "stop",
            "nospace": true, "reason": "No space left on device",
        },
        "timestamp": {"seconds": 1, "microseconds": 0},
    });
    let known = Event::from_json(line).unwrap().known();
    let reason = "No space left on device".to_owned();
    assert_eq!(known, Some(Known::BlockIoError(reason)));
}
