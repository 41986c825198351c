#!/bin/sh
# Makes the packages beside it and, with `new-keys`, the keys of the tests; all that is checked in.
# Takes rpm, gnupg1, which writes signatures of OpenPGP version 3 as those of CentOS 7 are, and for
# the keys gnupg.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GNUPGHOME="$work/keys"
mkdir -m 700 "$GNUPGHOME"

# An Ed25519 key. $2: what the key itself may do.
modern() {
    gpg --batch --passphrase '' --quick-gen-key "crashdrill test key $1 <$1@example.org>" ed25519 "$2" never
}

export_modern() {
    gpg --armor --export "<$1@example.org>" > "TEST-KEY-$1.asc"
    gpg --batch --armor --export-secret-keys "<$1@example.org>" > "TEST-KEY-$1.secret.asc"
}

case "${1-}" in
new-keys)
    # The one of the packages. Its self-signature is of SHA-1, as that of CentOS 7's key.
    gpg1 --batch --no-tty --quick-random --cert-digest-algo SHA1 --gen-key <<END
Key-Type: RSA
Key-Length: 2048
Key-Usage: sign
Name-Real: crashdrill test key
Name-Comment: its secret half is published
Name-Email: nobody@example.org
Expire-Date: 0
END
    gpg1 --armor --export > TEST-KEY.asc
    gpg1 --armor --export-secret-keys > TEST-KEY.secret.asc
    # One that signs by a subkey, somebody else's, and one that was taken back.
    export GNUPGHOME="$work/modern"
    mkdir -m 700 "$GNUPGHOME"
    modern subkey cert
    gpg --batch --passphrase '' --quick-add-key \
        "$(gpg --with-colons --list-keys '<subkey@example.org>' | awk -F: '/^fpr/ {print $10; exit}')" \
        ed25519 sign never
    modern stranger sign
    modern revoked sign
    export_modern subkey
    export_modern stranger
    fingerprint=$(gpg --with-colons --list-keys '<revoked@example.org>' | awk -F: '/^fpr/ {print $10; exit}')
    sed 's/^:---/---/' "$GNUPGHOME/openpgp-revocs.d/$fingerprint.rev" | gpg --batch --import
    gpg --armor --export "<revoked@example.org>" > TEST-KEY-revoked.asc
    gpgconf --kill gpg-agent
    export GNUPGHOME="$work/keys"
    ;;
*) gpg1 --batch --no-tty --import TEST-KEY.secret.asc ;;
esac

build() {
    rpmbuild -bb --quiet --define "_topdir $work" --define "_binary_payload $2" \
        --define '_buildhost localhost' --define '__os_install_post %{nil}' rehearsal.spec
    mv "$work/RPMS/noarch/rehearsal-1.0-1.el7.noarch.rpm" "$1.rpm"
}

# $2: what gpg, $3: what rpmsign is told besides.
sign() {
    rpmsign --define '__gpg /usr/bin/gpg1' --define '_gpg_name nobody@example.org' \
        --define "__gpg_sign_cmd %{__gpg} gpg --batch --no-tty --no-verbose --no-armor \
            --digest-algo sha256 $2 -u %{_gpg_name} -sbo %{__signature_filename} %{__plaintext_filename}" \
        $3 --addsign "$1.rpm"
}

# As CentOS 7 has them: xz, and signatures of version 3 over the header and over header and payload.
build el7 w2.xzdio
sign el7 --force-v3-sigs --rpmv3
# As its successors have them: the header alone is signed, and has the payload's digest.
for format in gzip:w9.gzdio bzip2:w9.bzdio lzma:w2.lzdio xz:w2.xzdio zstd:w19.zstdio none:w.ufdio; do
    build "${format%%:*}" "${format#*:}"
    sign "${format%%:*}" '' ''
done
