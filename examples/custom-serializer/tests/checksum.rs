//! Conformance tests of the serializer, and tests of its checksum.

use custom_serializer::{ChecksumPlugin, ChecksumSerializer};
use pynenc::core::record::Payload;
use pynenc::core::{ErrorKind, Serializer, SerializerExt};
use pynenc::prelude::*;
use pynenc::testing::TestApp;

// ANCHOR: conformance
pynenc_testkit::serializer_conformance!(|| ChecksumSerializer);
// ANCHOR_END: conformance

#[task]
async fn double(n: u32) -> u32 {
    n * 2
}

#[test]
fn reading_an_altered_value_fails() {
    let mut bytes = ChecksumSerializer.encode(&1234_u32).expect("a number can be encoded");
    assert_eq!(ChecksumSerializer.decode_as::<u32>(&bytes).ok(), Some(1234));
    *bytes.last_mut().expect("the bytes end with the number") = b'5';
    let error = ChecksumSerializer.decode_as::<u32>(&bytes).expect_err("1235 doesn't match the checksum of 1234");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn arguments_and_results_go_through_the_serializer() -> Result<()> {
    let app =
        TestApp::with(|builder| builder.plugin(ChecksumPlugin).set("serializer_cls", "ChecksumSerializer")).await?;
    let invocation = app.submit(double(21)).await?;
    assert_eq!(invocation.result().await?, 42);
    let record =
        app.parts().state.invocations(&[invocation.id()]).await?.remove(0).expect("records are kept for a day");
    assert_eq!(&*record.serializer, "ChecksumSerializer");
    let Payload::Inline(bytes) = &record.arguments[0].value else { panic!("small arguments are stored in the record") };
    assert_eq!(ChecksumSerializer.decode_as::<u32>(bytes)?, 21);
    Ok(())
}
