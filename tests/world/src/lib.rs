//! Real servers, clients and fakes for the tests.
