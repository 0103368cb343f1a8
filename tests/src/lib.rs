//! Nothing but tests: see the folder beside this one.
