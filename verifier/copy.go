// SPDX-License-Identifier: Apache-2.0

package verifier

// block is a Token in one piece with what it points to, so that a copy costs one
// allocation.
type block[List any] struct {
	token Token
	actor Actor
	list  List
}

// newToken makes a Token with room for an actor and for n strings in all its lists. A
// token of the greatest length, 65,536 bytes, holds fewer than the largest block, unless a
// Mapping reads one of its lists for several fields.
func newToken(n int) (*Token, *Actor, []string) {
	switch {
	case n == 0:
		b := new(block[struct{}])
		return &b.token, &b.actor, nil
	case n <= 4:
		b := new(block[[4]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 8:
		b := new(block[[8]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 12:
		b := new(block[[12]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 16:
		b := new(block[[16]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 32:
		b := new(block[[32]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 64:
		b := new(block[[64]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 128:
		b := new(block[[128]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 256:
		b := new(block[[256]string])
		return &b.token, &b.actor, b.list[:]
	}
	return newLongToken(n)
}

func newLongToken(n int) (*Token, *Actor, []string) {
	switch {
	case n <= 512:
		b := new(block[[512]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 1024:
		b := new(block[[1024]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 2048:
		b := new(block[[2048]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 4096:
		b := new(block[[4096]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 8192:
		b := new(block[[8192]string])
		return &b.token, &b.actor, b.list[:]
	case n <= 16384:
		b := new(block[[16384]string])
		return &b.token, &b.actor, b.list[:]
	}
	b := new(block[struct{}])
	return &b.token, &b.actor, make([]string, n)
}

// strings is how many strings the lists of t hold.
func (t *Token) strings() int {
	return len(t.Audience) + len(t.Scopes) + len(t.AMR) + len(t.Roles) + len(t.Groups) + len(t.Entitlements)
}

// clone makes a copy for one request; what handlers do to it stays there.
func (t *Token) clone() *Token {
	c, actor, list := newToken(t.strings())
	*c = *t
	c.Audience, list = cut(t.Audience, list)
	c.Scopes, list = cut(t.Scopes, list)
	c.AMR, list = cut(t.AMR, list)
	c.Roles, list = cut(t.Roles, list)
	c.Groups, list = cut(t.Groups, list)
	c.Entitlements, _ = cut(t.Entitlements, list)
	if t.Actor != nil {
		*actor = *t.Actor
		c.Actor = actor
	}
	return c
}

// cut copies from to the front of room, and returns what is left of that.
func cut(from, room []string) (copied, rest []string) {
	copied, rest = front(room, lengthOf(from))
	copy(copied, from)
	return copied, rest
}

// noList is the length of a nil list, which differs from an empty one.
const noList = -1

func lengthOf(list []string) int32 {
	if list == nil {
		return noList
	}
	return int32(len(list))
}

// front cuts a list of n strings off room. It has no capacity to spare, so that appending
// to it cannot reach the next one.
func front(room []string, n int32) (list, rest []string) {
	switch n {
	case noList:
		return nil, room
	case 0:
		return []string{}, room
	}
	return room[:n:n], room[n:]
}
