//go:build programs

// Package programs names what fetch-terraform builds, so that go.mod and go.sum hold all of it and nothing else.
package programs

import _ "github.com/opentofu/opentofu/cmd/tofu"
