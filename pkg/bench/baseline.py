#!/usr/bin/env python3
"""The yardstick of `make bench`: Assay's rules for sign-ins and mailbox accesses in plain Python.

It reads one JSON record a line (a file, or - for standard input), prints each record that a rule fires for behind the name
of the rule, and at the end how many records it read and how often each rule fired; or with --rules which rules it has. The
predicates, their guards and the built-in reference data are those of the Go rules that need no configuration; as there, a
missing field never fires a rule. What it leaves out is all the rest: other envelopes and spellings, evidence, identity, the
store, broken records. So it is a lower bound of what a script would cost.
"""

import base64
import collections
import ipaddress
import json
import re
import sys
import uuid
from datetime import datetime, timedelta, timezone

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
GRAPH = "00000003-0000-0000-c000-000000000000"
FIRST_PARTY = {"f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"}
MAILBOX_RECORDS = {2, 3, 19, 50, 101}
SIGN_INS = {
    "SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs",
    "ADFSSignInLogs", "MicrosoftServicePrincipalSignInLogs",
}
PLACEHOLDER_IDS = {uuid.UUID(int=0), uuid.UUID(int=(1 << 128) - 1)}

# Microsoft's indicators of 2023 with their days.
BAD_ADDRESSES = {
    address: (datetime(2023, *first, tzinfo=timezone.utc), datetime(2023, *last, 23, 59, 59, tzinfo=timezone.utc))
    for address, first, last in [
        ("51.89.156.153", (3, 9), (7, 10)), ("176.31.90.129", (3, 28), (6, 29)), ("137.74.181.100", (3, 31), (7, 11)),
        ("193.36.119.45", (4, 19), (7, 7)), ("185.158.248.159", (4, 24), (7, 6)), ("131.153.78.188", (5, 6), (6, 29)),
        ("37.143.130.146", (5, 12), (5, 19)), ("146.70.157.45", (5, 12), (6, 8)), ("185.195.200.39", (5, 15), (6, 29)),
        ("185.38.142.229", (5, 15), (7, 12)), ("146.70.121.44", (5, 17), (6, 29)), ("31.42.177.181", (5, 22), (5, 23)),
        ("185.51.134.52", (6, 7), (7, 11)), ("173.44.226.70", (6, 9), (7, 11)), ("45.14.227.233", (6, 12), (6, 26)),
        ("185.236.231.109", (6, 12), (7, 3)), ("178.73.220.149", (6, 16), (7, 12)), ("45.14.227.212", (6, 19), (6, 29)),
        ("91.222.173.225", (6, 20), (7, 1)), ("146.70.35.168", (6, 22), (6, 29)), ("146.70.157.213", (6, 26), (6, 30)),
        ("31.42.177.201", (6, 27), (6, 29)), ("5.252.176.8", (7, 1), (7, 1)), ("80.85.158.215", (7, 1), (7, 9)),
        ("193.149.129.88", (7, 2), (7, 12)), ("5.252.178.68", (7, 3), (7, 11)), ("116.202.251.8", (7, 4), (7, 7)),
        ("185.158.248.93", (6, 25), (6, 26)), ("20.108.240.252", (6, 25), (7, 5)), ("146.70.135.182", (5, 18), (6, 22)),
        ("195.26.87.219", (5, 15), (6, 25)), ("185.236.228.183", (5, 24), (6, 11)), ("85.239.63.160", (6, 7), (6, 11)),
        ("193.105.134.58", (6, 24), (6, 25)), ("146.0.74.16", (6, 28), (7, 4)), ("91.231.186.226", (6, 29), (7, 4)),
        ("91.222.174.41", (6, 29), (7, 3)), ("185.38.142.249", (6, 29), (7, 2)),
    ]
}
CLIENT_PROTOCOLS = {
    "27922004-5251-4030-b22d-91ecd9a37ea4": re.compile(r"^Client=OutlookService;Outlook-(iOS|Android)|Outlook-iOS-Android"),
    "00000002-0000-0ff1-ce00-000000000000": re.compile(r"^Client=OWA\b|^Client=MSExchangeRPC\b"),
    "9199bf20-a13f-4107-85dc-02114787ef48": re.compile(r"^Client=(OWA|REST|OneOutlook)\b"),
    "47629505-c2b6-4a80-adb1-9b3a3d233b7b": re.compile(r"^Client=WebServices\b"),
    GRAPH: re.compile(r"^Client=REST\b"),
    "13937bba-652e-4c46-b222-3003f4d1ff97": re.compile(r"^Client=REST\b"),
}
KNOWN_CLIENTS = {
    "27922004-5251-4030-b22d-91ecd9a37ea4", "00000002-0000-0ff1-ce00-000000000000", "9199bf20-a13f-4107-85dc-02114787ef48",
    "47629505-c2b6-4a80-adb1-9b3a3d233b7b", "00000003-0000-0000-c000-000000000000", "13937bba-652e-4c46-b222-3003f4d1ff97",
    "fb78d390-0c51-40cd-8e17-fdbfab77341b", "5d661950-3475-41cd-a2c3-d671a3162bc1", "d3590ed6-52b3-4102-aeff-aad2292ab01c",
    "00000006-0000-0ff1-ce00-000000000000", "4765445b-32c6-49b0-83e6-1d93765276ca", "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
    "5e3ce6c0-2b1f-4285-8d4b-75ee78787346", "66a88757-258c-4c72-893c-3e8bed4d6899", "d9b8ec3a-1e4e-4e08-b3c2-5baf00c0fcb0",
}
MAIL_FRONTENDS = {
    "00000002-0000-0ff1-ce00-000000000000", "00000003-0000-0000-c000-000000000000", "47629505-c2b6-4a80-adb1-9b3a3d233b7b",
    "13937bba-652e-4c46-b222-3003f4d1ff97", "27922004-5251-4030-b22d-91ecd9a37ea4", "d3590ed6-52b3-4102-aeff-aad2292ab01c",
    "5d661950-3475-41cd-a2c3-d671a3162bc1",
}
MAIL_OPERATIONS = {"MailItemsAccessed", "AttachmentAccess", "Send", "SearchQueryInitiatedExchange"}
SCRIPTED = re.compile(
    r"(?i)python-requests|python-urllib|aiohttp|httpx|curl/|wget/|go-http-client|okhttp|axios/|node-fetch|libwww|winhttp|"
    r"powershell|postmanruntime|java/|\[nouseragent\]"
)


def time_of(text):
    """Reads a time of any form that the two logs use; no zone means UTC."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00") if len(text) < 28 else seven_digits(text))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)


def seven_digits(text):
    """Python reads six digits of a second."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00")


def token_id(text):
    """Returns the GUID that a token id encodes in any of its three forms."""
    if len(text) == 36:
        return uuid.UUID(text)
    if len(text.rstrip("=")) == 22:
        return uuid.UUID(bytes_le=base64.urlsafe_b64decode(text.rstrip("=") + "=="))
    if len(text) == 48:
        return uuid.UUID(base64.b64decode(text).decode())
    raise ValueError("not a token id")


def address_of(text):
    """Returns the address without port, brackets and mapping."""
    if not text:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        at = ipaddress.ip_address(text)
    except ValueError:
        return None
    return at.ipv4_mapped or at if at.version == 6 else at


def bad_address(event):
    window = BAD_ADDRESSES.get(str(event["ip"]))
    if window is None or event["at"] is None:
        return False
    first, last = window
    return first - timedelta(days=30) <= event["at"] <= last + timedelta(days=90)


# --- mailbox rules: the event is the normalised record


def consumer_tenant(e):
    return e["tid"] == CONSUMERS and e["org"] != CONSUMERS


def tenant_mismatch(e):
    return bool(e["tid"] and e["org"]) and e["tid"] != e["org"] and e["tid"] not in FIRST_PARTY


def over_age(e):
    return e["age"] is not None and e["age"] > timedelta(hours=29)


def issued_in_future(e):
    return e["age"] is not None and e["age"] < -timedelta(minutes=5)


def malformed_id(e):
    if not e["uti"]:
        return False
    try:
        return token_id(e["uti"]) in PLACEHOLDER_IDS
    except ValueError:
        return True


def unexpected_client(e):
    if e["operation"] not in MAIL_OPERATIONS:
        return False
    return bool(e["app"]) and e["app"] not in KNOWN_CLIENTS or bool(e["frontend"]) and e["frontend"] not in MAIL_FRONTENDS


def protocol_mismatch(e):
    if not e["info"]:
        return False
    wanted = CLIENT_PROTOCOLS.get(e["app"])
    if wanted is not None and not wanted.search(e["info"]):
        return True
    return e["frontend"] == GRAPH and not CLIENT_PROTOCOLS[GRAPH].search(e["info"])


def scripted_mailbox(e):
    return bool(SCRIPTED.search(e["agent"]))


MAILBOX_RULES = {
    "mailbox-consumer-tenant-token": consumer_tenant,
    "mailbox-token-tenant-mismatch": tenant_mismatch,
    "mailbox-token-over-age": over_age,
    "mailbox-token-issued-in-future": issued_in_future,
    "mailbox-uti-malformed": malformed_id,
    "mailbox-unexpected-client-app": unexpected_client,
    "mailbox-client-app-protocol-mismatch": protocol_mismatch,
    "mailbox-scripted-client": scripted_mailbox,
    "ioc-ip": bad_address,
}

# --- sign-in rules: the event is the normalised record


def golden_saml(e):
    return (
        "saml11" in e["incoming"]
        and "MFA requirement satisfied by claim provided by external provider" in e["details"]
        and not e["mfa"]
        and e["steps"] == 0
        and e["binding"] == "unbound"
        and e["code"] in (0, 399218)
        and (e["app"] == "72782ba9-4490-4f03-8d82-562370ea3566" or e["resource"] == "4765445b-32c6-49b0-83e6-1d93765276ca")
    )


def issuer_anomaly(e):
    return "tokenIssuerAnomaly" in e["risks"] and e["riskState"] not in ("dismissed", "remediated", "confirmedSafe")


def anomalous_token(e):
    suspicious = {"anomalousToken", "attackerinTheMiddle", "attemptedPrtAccess", "nationStateIP", "investigationsThreatIntelligence"}
    return not suspicious.isdisjoint(e["risks"]) and e["riskState"] not in ("dismissed", "remediated", "confirmedSafe")


def scripted_sign_in(e):
    return e["resource"] == "00000002-0000-0ff1-ce00-000000000000" and e["code"] == 0 and bool(SCRIPTED.search(e["agent"]))


SIGN_IN_RULES = {
    "signin-golden-saml-pattern": golden_saml,
    "risk-token-issuer-anomaly": issuer_anomaly,
    "risk-anomalous-token": anomalous_token,
    "mailbox-scripted-client": scripted_sign_in,
    "ioc-ip": bad_address,
}


def mailbox_event(r):
    context = r.get("AppAccessContext") or {}
    at, issued = time_of(r.get("CreationTime")), time_of(context.get("IssuedAtTime"))
    return {
        "at": at,
        "operation": r.get("Operation"),
        "age": at - issued if at and issued else None,
        "tid": (r.get("TokenTenantId") or "").lower(),
        "org": (r.get("OrganizationId") or "").lower(),
        "uti": context.get("UniqueTokenId") or "",
        "app": (context.get("ClientAppId") or r.get("ClientAppId") or r.get("AppId") or "").lower(),
        "frontend": (r.get("AppId") or "").lower(),
        "info": r.get("ClientInfoString") or "",
        "agent": (r.get("ClientInfoString") or "") + " " + (r.get("ActorInfoString") or ""),
        "ip": address_of(r.get("ClientIPAddress") or r.get("ClientIP")),
    }


def sign_in_event(r):
    p = r.get("properties") or {}
    return {
        "at": time_of(p.get("createdDateTime")),
        "incoming": (p.get("incomingTokenType") or "").split(","),
        "details": (p.get("status") or {}).get("additionalDetails") or "",
        "code": (p.get("status") or {}).get("errorCode"),
        "mfa": p.get("mfaDetail"),
        "steps": len(p.get("authenticationDetails") or []),
        "binding": (p.get("tokenProtectionStatusDetails") or {}).get("signInSessionStatus") or "",
        "app": (p.get("appId") or "").lower(),
        "resource": (p.get("resourceId") or "").lower(),
        "risks": set(p.get("riskEventTypes_v2") or ()),
        "riskState": p.get("riskState") or "",
        "agent": p.get("userAgent") or "",
        "ip": address_of(p.get("ipAddress") or r.get("callerIpAddress")),
    }


def main(path):
    records, findings = 0, collections.Counter()
    with sys.stdin if path == "-" else open(path, encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            records += 1
            if record.get("category") in SIGN_INS:
                event, rules = sign_in_event(record), SIGN_IN_RULES
            elif record.get("RecordType") in MAILBOX_RECORDS:
                event, rules = mailbox_event(record), MAILBOX_RULES
            else:
                continue
            for name, fires in rules.items():
                if fires(event):
                    findings[name] += 1
                    sys.stdout.write(name + "\t" + line)
    print(json.dumps({"records": records, "findings": sum(findings.values()), "byRule": dict(sorted(findings.items()))}))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: baseline.py FILE|-|--rules")
    if sys.argv[1] == "--rules":
        print(",".join(sorted(MAILBOX_RULES | SIGN_IN_RULES)))
    else:
        main(sys.argv[1])
