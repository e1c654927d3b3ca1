package rules

import "testing"

func TestAsksForMail(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://graph.microsoft.com/v1.0/me/messages":                                              true,
		"https://graph.microsoft.com/v1.0/me/messages?$top=10":                                      true,
		"https://graph.microsoft.com/beta/ME/MailFolders/inbox/messages":                            true,
		"https://graph.microsoft.com/v1.0/users/7b934539-7366-494e-a8ac-3517694d32db/messages/AAMk": true,
		"https://graph.microsoft.com/v1.0/users/user@contoso.example/mailFolders('Inbox')":          true,
		"https://graph.microsoft.com/v1.0/users('user@contoso.example')/messages('AAMk')":           true,
		"https://graph.microsoft.com//v1.0//me//messages":                                           true,
		"/v1.0/me/messages/$count":                                                                  true,
		"https://graph.microsoft.com/v1.0/me":                                                       false,
		"https://graph.microsoft.com/v1.0/me/events":                                                false,
		"https://graph.microsoft.com/v1.0/me/messagesRead":                                          false,
		"https://graph.microsoft.com/v1.0/me/chats/19:abc/messages":                                 false,
		"https://graph.microsoft.com/v1.0/teams/1/channels/2/messages":                              false,
		"https://graph.microsoft.com/v1.0/users/messages":                                           false, // a user of that name
		"https://graph.microsoft.com/v1.0/search?q=/me/messages":                                    false,
		"https://graph.microsoft.com/v1.0/users?$expand=/me/messages":                               false,
		"https://graph.microsoft.com/v1.0/$batch":                                                   false,
		"": false, "/": false, "messages": false, "me/messages": true, "users(": false,
	} {
		if got := asksForMail(uri); got != want {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
}
