package rules

import (
	"strings"

	"github.com/assay-sec/assay/pkg/event"
	"github.com/assay-sec/assay/pkg/rule"
)

// mailRequested holds for a Graph request for somebody's messages or mail folders.
func mailRequested() rule.Predicate {
	return rule.Test(event.GraphURI, "is a request for mail", "", asksForMail)
}

// asksForMail reports whether the path of a request leads to the messages or mail folders of me, of users/{id} or of
// users('{id}'). The query is no part of the path.
func asksForMail(uri string) bool {
	path := uri
	if end := strings.IndexAny(uri, "?#"); end >= 0 {
		path = uri[:end]
	}
	previous, ofSomebody := "", false
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" {
			continue
		}
		name, _, keyed := strings.Cut(segment, "(")
		if ofSomebody && (strings.EqualFold(name, "messages") || strings.EqualFold(name, "mailFolders")) {
			return true
		}
		ofSomebody = strings.EqualFold(segment, "me") || strings.EqualFold(previous, "users") || keyed && strings.EqualFold(name, "users")
		previous = segment
	}
	return false
}
