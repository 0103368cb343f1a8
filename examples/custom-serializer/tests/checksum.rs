//! The serializer is held to its trait, and does what it is for.

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
fn an_altered_value_is_noticed() {
    let mut bytes = ChecksumSerializer.encode(&1234_u32).expect("a number can be encoded");
    assert_eq!(ChecksumSerializer.decode_as::<u32>(&bytes).ok(), Some(1234));
    *bytes.last_mut().expect("there is a last digit") = b'5';
    let error = ChecksumSerializer.decode_as::<u32>(&bytes).expect_err("1235 isn't what was written");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn arguments_and_results_go_through_it() -> Result<()> {
    let app =
        TestApp::with(|builder| builder.plugin(ChecksumPlugin).set("serializer_cls", "ChecksumSerializer")).await?;
    let invocation = app.submit(double(21)).await?;
    assert_eq!(invocation.result().await?, 42);
    let record = app.parts().state.invocations(&[invocation.id()]).await?.remove(0).expect("it is kept for a day");
    assert_eq!(&*record.serializer, "ChecksumSerializer");
    let Payload::Inline(bytes) = &record.arguments[0].value else { panic!("it is small") };
    assert_eq!(ChecksumSerializer.decode_as::<u32>(bytes)?, 21);
    Ok(())
}
