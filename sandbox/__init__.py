"""A pretend AWS over HTTP, for the demo and the tests. Nothing in `migration` may know that it exists."""
