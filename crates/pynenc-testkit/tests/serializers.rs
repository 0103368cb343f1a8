//! Runs the serializer conformance suite against the serializers of the core.

mod json {
    pynenc_testkit::serializer_conformance!(|| pynenc_core::serializer::JsonSerializer);
}

mod msgpack {
    pynenc_testkit::serializer_conformance!(|| pynenc_core::serializer::MsgPackSerializer);
}
