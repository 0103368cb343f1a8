//! pynenc builder
