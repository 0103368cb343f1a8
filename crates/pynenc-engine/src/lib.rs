//! pynenc engine
