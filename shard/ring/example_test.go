// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package ring_test

import (
	"fmt"

	"github.com/quorate/quorate/shard/ring"
)

func ExampleNew() {
	caches := []ring.Member{{ID: "cache-1"}, {ID: "cache-2"}, {ID: "cache-3", Weight: 200}}
	r, err := ring.New(caches, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []string{"user/1", "user/2", "user/3", "user/4"} {
		fmt.Println(key, r.Get(key))
	}
	_, err = ring.New(caches, &ring.Options{Slots: 1000})
	fmt.Println(err)
	// Output:
	// user/1 cache-3
	// user/2 cache-3
	// user/3 cache-2
	// user/4 cache-3
	// ring: new: invalid argument: Slots is 1000, must be a power of two from 16 to 16777216
}

// When cache-2 leaves, its keys move, and no others.
func ExampleRing_With() {
	r, err := ring.New([]ring.Member{{ID: "cache-1"}, {ID: "cache-2"}, {ID: "cache-3"}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	less, err := r.With([]ring.Member{{ID: "cache-1"}, {ID: "cache-3"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []string{"user/1", "user/2", "user/3", "user/4"} {
		fmt.Println(key, r.GetN(key, 2), "->", less.Get(key))
	}
	// Output:
	// user/1 [cache-2 cache-3] -> cache-3
	// user/2 [cache-3 cache-1] -> cache-3
	// user/3 [cache-2 cache-1] -> cache-1
	// user/4 [cache-1 cache-3] -> cache-1
}

func ExampleRing_GetApart() {
	r, err := ring.New([]ring.Member{
		{ID: "a1", Zone: "a"}, {ID: "a2", Zone: "a"}, {ID: "b1", Zone: "b"}, {ID: "b2", Zone: "b"}, {ID: "c1", Zone: "c"},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.GetN("object/5", 5))
	fmt.Println(r.GetApart("object/5", 5))
	// Output:
	// [a2 b2 b1 c1 a1]
	// [a2 b2 c1]
}

// Eight requests for one key at once: its member takes as many as its bound allows.
func ExampleNewBalancer() {
	r, err := ring.New([]ring.Member{{ID: "web-1"}, {ID: "web-2"}, {ID: "web-3"}}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := ring.NewBalancer(r, &ring.BalancerOptions{Factor: 1.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("nearest first:", r.GetN("hot", 3))
	for range 8 {
		member, release := b.Acquire("hot")
		defer release()
		fmt.Print(member, " ")
	}
	fmt.Println()
	// Output:
	// nearest first: [web-1 web-3 web-2]
	// web-1 web-3 web-1 web-3 web-1 web-3 web-1 web-3
}

func ExampleIndex() {
	fmt.Println(ring.Index("user/1", 4096), ring.Index("user/2", 4096))
	// Output:
	// 4082 3015
}
