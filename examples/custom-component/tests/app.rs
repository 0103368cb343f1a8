//! Runs the program as a user does, with the broker of its `pynenc.toml`.

use std::process::Command;

use tempfile::TempDir;

fn run(variables: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_custom-component"))
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_message_is_a_file_until_it_is_taken() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let path = directory.path().to_str().expect("its name is Unicode");
    let (succeeded, text) = run(&[("PYNENC__FILE_BROKER__DIRECTORY", path)]);
    assert!(succeeded, "{text}");
    for line in [path, "submitted:     1 file(s)", "result:        broket", "after the run: 0 file(s)"] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}

#[test]
fn a_misspelt_name_is_explained() {
    let (succeeded, text) = run(&[("PYNENC__BROKER_CLS", "file_broker::FileBrokr")]);
    assert!(!succeeded && text.contains("did you mean: file_broker::FileBroker"), "{text}");
}

#[test]
fn a_misspelt_setting_is_explained() {
    let (succeeded, text) = run(&[("PYNENC__FILE_BROKER__DIRECTRY", "/tmp")]);
    assert!(!succeeded && text.contains("directory"), "{text}");
}
