use super::*;

fn forecast(slot: &str, device: &'static str, asked: u32, granted: u32, got: Got) -> Forecast {
    Forecast {
        slot: slot.to_owned(),
        device,
        driver: Some("a_driver"),
        table: 64,
        asked,
        granted,
        taken: granted,
        got,
    }
}

fn predictions() -> [Prediction; 2] {
    let one = Prediction {
        cpus: 1,
        possible_cpus: 1,
        routing: Routing::PerCpu,
        available: 195,
        demand: 258,
        taken: 194,
        devices: vec![
            forecast("00:04.0", "virtio-serial", 192, 192, Got::All),
            forecast("00:10.0", "virtio-serial", 64, 2, Got::Fewer),
            forecast("00:05.0", "nvme", 2, 0, Got::Nothing),
            forecast("00:06.0", "xhci", 0, 0, Got::NoDriver),
        ],
        needed_cpus: Some(2),
    };
    let two = Prediction {
        cpus: 2,
        possible_cpus: 4,
        available: 396,
        demand: 259,
        taken: 259,
        devices: vec![
            forecast("00:04.0", "virtio-serial", 256, 256, Got::All),
            forecast("00:05.0", "nvme", 3, 3, Got::All),
        ],
        ..one.clone()
    };
    [one, two]
}

fn planned(predictions: &[Prediction]) -> Planned<'_> {
    Planned {
        drill: "a@b",
        release: "6.1.0",
        predictions,
        several: predictions.len() > 1,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn one_number_of_cpus() {
    let text = plain(&vectors_text(planned(&predictions()[..1]), 100));
    assert_eq!(
        text,
        "\
a@b, capture kernel 6.1.0

1 CPU has 195 interrupt vectors for devices, whose drivers ask for 258

  slot     device         driver    table  asked  granted  taken
  00:04.0  virtio-serial  a_driver     64    192      192    192  all
  00:10.0  virtio-serial  a_driver     64     64        2      2  fewer
  00:05.0  nvme           a_driver     64      2        0      0  nothing: its driver gives up
  00:06.0  xhci           a_driver     64      0        0      0  no driver

00:10.0 (virtio-serial) is the first that is refused. Every device gets what its driver asks for
from 2 CPUs on: nr_cpus=2.
"
    );
}

#[test]
fn several_numbers_of_cpus() {
    let text = plain(&vectors_text(planned(&predictions()), 100));
    assert_eq!(
        text,
        "\
a@b, capture kernel 6.1.0

  CPUs  available  asked  taken  first refused          lost
     1        195    258    194  00:10.0 virtio-serial  00:05.0 nvme
     2        396    259    259  -                      -

Every device gets what its driver asks for from 2 CPUs on: nr_cpus=2.
"
    );
}

#[test]
fn no_number_of_cpus_helps() {
    let [mut one, _] = predictions();
    one.routing = Routing::Shared;
    one.needed_cpus = None;
    let text = plain(&vectors_text(planned(&[one]), 400));
    assert!(text.contains("No number of CPUs"), "{text}");
    assert!(text.contains("flat APIC routing"), "{text}");
}

#[test]
fn programs_get_the_same() {
    let text = vectors_json(planned(&predictions())).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let first = &value["predictions"][0];
    assert_eq!(first["first-refused"], "00:10.0");
    assert_eq!(first["needed-cpus"], 2);
    assert_eq!(first["devices"][2]["got"], "nothing");
    assert_eq!(value["predictions"][1]["first-refused"], Value::Null);
    let schema = vectors_schema();
    let known = schema["$defs"]["One"]["properties"].as_object().unwrap();
    for key in first.as_object().unwrap().keys() {
        assert!(known.contains_key(key), "{key}");
    }
}

#[test]
fn the_picture_says_who_is_short() {
    let [one, two] = predictions();
    let rows = [one, two];
    let svg = vectors_svg(planned(&rows));
    assert_eq!(svg, vectors_svg(planned(&rows)));
    // One outline for each that is short; a mark, and an arrow where that would lie outside.
    assert_eq!(svg.matches("class=\"short\"").count(), 2);
    assert_eq!(svg.matches("class=\"line\"").count(), 1);
    assert!(svg.contains("396 \u{2192}"));
    assert!(svg.contains("prefers-color-scheme:dark"));
    assert!(svg.contains("00:10.0 virtio-serial is refused first, 00:05.0 nvme is lost"));
    // It is well-formed: every element is closed, and nothing is written but markup.
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn names_cannot_break_the_picture() {
    let rows = predictions();
    let svg = vectors_svg(Planned {
        drill: "<a&b>",
        ..planned(&rows)
    });
    assert!(svg.contains("&lt;a&amp;b&gt;") && !svg.contains("<a&b>"));
}
