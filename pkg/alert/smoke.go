package alert

// SmokeTenant is the tenant of events that a smoke test makes up. No configuration may contain it, and its alerts go to the
// subscription of smoke tests alone.
const SmokeTenant = "5a0be7e5-0000-4000-8000-000000000000"

// IsSmoke tells whether the tenant is that of smoke tests.
func IsSmoke(tenant string) bool { return tenant == SmokeTenant }
