//! The serializers of the core, held to their trait.

mod json {
    pynenc_testkit::serializer_conformance!(|| pynenc_core::serializer::JsonSerializer);
}

mod msgpack {
    pynenc_testkit::serializer_conformance!(|| pynenc_core::serializer::MsgPackSerializer);
}
