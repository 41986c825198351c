use super::*;

#[test]
fn the_largest_counts() {
    assert_eq!(Kind::asked(0), None);
    assert_eq!(Kind::asked(0xf8), None);
    assert_eq!(Kind::asked(1), Some(Kind::Core));
    assert_eq!(Kind::asked(3), Some(Kind::Global));
    assert_eq!(Kind::asked(7), Some(Kind::Firmware));
}

#[test]
fn counts_are_modulo_4() {
    let mut reset = Reset::new();
    for nth in 1..=5u32 {
        reset.request(Kind::Core);
        assert_eq!(reset.step(), Some(Kind::Core));
        assert_eq!(reset.step(), None);
        assert_eq!(reset.status(), 1 << 2 | (nth & 3) << 4);
        assert_eq!(reset.step(), None);
    }
}
