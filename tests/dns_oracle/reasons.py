"""Why our server answers some packets otherwise than an anchor does, by the key that `outcomes.txt` has."""

REASONS = {
    "names-below": (
        "Below every name there are names that we answer (ip41-2-3-4.<anything>.<zone>), so no such name may be "
        "denied: RFC 8020. The anchors have the static zone alone, where it does not exist. PowerDNS gives "
        "SERVFAIL for octets that its database layer refuses."
    ),
    "alias-loop": (
        "A loop of CNAMEs is the operator's mistake, and the resolver sees it from the records: NOERROR with "
        "both, as from Knot and NSD. SERVFAIL, as from BIND and PowerDNS, is for a server that failed."
    ),
    "any": (
        "RFC 8482 §4.2: one HINFO (or the CNAME), over UDP and TCP alike. PowerDNS sends ANY to TCP, and there "
        "it, BIND and, at the apex, Knot give more."
    ),
    "meta-type": (
        "A type that is no data is looked for and not there: NODATA, as from NSD and mostly Knot; one rule for "
        "all types, and an answer that a resolver may remember. RFC 8906 §3.1.2 asks for this of every type that "
        "is not known."
    ),
    "nxname": "RFC 9824 §3.5: NXNAME is never to be asked for, and gets FORMERR; three anchors are older than that.",
    "transfer": "We transfer to nobody, and refuse it (RFC 5936 §2.2.1). The anchors tell cases apart.",
    "class": (
        "A class that we do not serve is REFUSED, as from Knot and NSD. BIND has FORMERR or NOTIMP for some, "
        "PowerDNS NOTIMP for CH, and AA beside REFUSED."
    ),
    "class-any": (
        "RFC 1035 §6.2: answered, but without AA, as from NSD and PowerDNS; who does not know all classes has not "
        "the last word. Knot sets AA, BIND says FORMERR."
    ),
    "chaos": "Nothing about us unless the operator wants it: REFUSED. BIND says NODATA there, PowerDNS SERVFAIL.",
    "opcode": (
        "RFC 8906 §3.1.4: an opcode that is not known is NOTIMP. PowerDNS is silent, as is Knot about a message "
        "of DSO without a question."
    ),
    "notify": "We are nobody's secondary: NOTAUTH (RFC 1996 leaves the code open), as from Knot. The others differ.",
    "update": "RFC 2136 §3.3: we know the zone, and take no update: REFUSED, as from BIND and, with AA, from PowerDNS.",
    "cd": (
        "RFC 4035 §3: a server that knows DNSSEC copies CD into the response, as BIND does. The others clear it, "
        "which §3.1.6 recommends; no resolver looks at it."
    ),
    "query-flags": (
        "Bits that mean nothing in a query are not looked at (RFC 8906 §3.1.3). PowerDNS drops a query with TC, "
        "NSD finds a response code in a query malformed. CD as under `cd`."
    ),
    "no-question": (
        "A query has one question (RFC 9619): FORMERR. PowerDNS is silent, or answers a question that nobody "
        "asked. NSD says NOERROR if there is an OPT record."
    ),
    "no-question-cookie": (
        "RFC 7873 §5.4: a client may ask for a server cookie without a question, and gets it from ours, from BIND and "
        "from NSD. Knot, without cookies here, says FORMERR, PowerDNS as in `no-question`."
    ),
    "silence": (
        "RFC 8906 §3: what has a header and cannot be read gets FORMERR, in twelve octets, so that the client "
        "need not wait; no larger than what came, so of no use as an amplifier. Knot or PowerDNS are silent, NSD "
        "over TCP too if it is shorter than a question."
    ),
    "sections": (
        "A query has no answer, and authority only in IXFR: refused before anything is read for it, as by NSD. "
        "The others read it and forget it. What is counted and not there is FORMERR everywhere, but for PowerDNS, "
        "which is silent."
    ),
    "additional": (
        "Up to two additional records besides those that we know are skipped (RFC 6891 §6.1.1 lets OPT stand "
        "anywhere there). NSD refuses any other record. More than two is refused, as by NSD: nobody sends them, "
        "and each costs time."
    ),
    "additional-broken": "An additional record that cannot be read is FORMERR; PowerDNS is silent.",
    "tsig": (
        "RFC 8945 §5.2: NOTAUTH for a key that we do not have, FORMERR for a TSIG that is no TSIG or not the last "
        "record. PowerDNS sets AA, or is silent."
    ),
    "trailing": (
        "What follows behind the last record is no part of a message: FORMERR, as from Knot. It is what a parser "
        "that lost its place leaves over. The others do not look."
    ),
    "question-pointer": (
        "A question's name is not compressed: there is nothing to point at but the header. FORMERR, as from NSD. "
        "BIND reads the header's octets as a name, Knot and PowerDNS are silent."
    ),
    "badvers": "RFC 6891 §6.1.3: BADVERS. PowerDNS sets AA on it, which says nothing.",
    "badvers-opcode": (
        "An opcode that is not known says nothing about the rest of the message, OPT too: NOTIMP, as from NSD. "
        "Knot and BIND look for OPT first, PowerDNS is silent."
    ),
    "subnet": "RFC 6891 §6.1.2: who does not use an option does not look into it. BIND does, and finds it malformed.",
    "cookie": (
        "RFC 7873 §5.2.2: an option of a length that no cookie has is FORMERR, as from BIND. The other three are "
        "set up without cookies, and ignore it."
    ),
    "options": "Options must fill their record (RFC 6891 §6.1.2): FORMERR, as from three anchors. PowerDNS reads on.",
    "opt": (
        "RFC 6891 §6.1.1: one OPT, its owner the root's one octet, among the additional records; else FORMERR. "
        "PowerDNS takes any, Knot one with an owner, and all but NSD one whose owner is a pointer to a zero."
    ),
    "glue": (
        "RFC 9471 §3.1: if the addresses of all name servers inside the delegation do not fit, TC. These versions "
        "of the anchors are older than that, and leave some out."
    ),
    "no-dns": "No DNS at all: what the octets mean in a header is answered; see `silence` and `opcode`.",
}
