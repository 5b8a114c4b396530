//! The gRPC edge: decode, authorize, call one verb, encode.
