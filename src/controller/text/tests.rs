use super::*;

#[test]
fn shown_text_is_what_its_author_sees() {
    assert_eq!(shown("Größe 漢字 👩‍💻", 20), Ok(()));
    for bad in ["", "a\u{0}", "a\nb", "\u{85}", "\u{202e}gnp.exe", "a\u{2066}b"] {
        assert!(shown(bad, 20).is_err(), "{bad:?}");
    }
    assert!(shown("ää", 1).is_err());
}

#[test]
fn a_phc_string_of_argon2id_is_told_from_its_look_alikes() {
    let good = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
    assert_eq!(phc_argon2id(good), Ok(()));
    for bad in [
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA",
        "$argon2id$v=16$m=19456,t=2,p=1$c2FsdA$aGFzaA",
        "$argon2id$v=19$$c2FsdA$aGFzaA",
    ] {
        assert!(phc_argon2id(bad).is_err(), "{bad}");
    }
}
