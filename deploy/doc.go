// Package deploy has no code: what stands here is how pgguard is run, and its tests hold that together with what pgguard is.
package deploy
