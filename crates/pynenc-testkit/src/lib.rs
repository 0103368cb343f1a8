//! pynenc testkit
