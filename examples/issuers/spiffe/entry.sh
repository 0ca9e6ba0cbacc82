#!/bin/sh
# At the SPIRE server: the entry that makes the pod's account `deployer` of the namespace `payments` this SPIFFE ID.
set -eu
spire-server entry create \
  -parentID spiffe://prod.example.org/ns/spire/sa/spire-agent \
  -spiffeID spiffe://prod.example.org/ns/payments/sa/deployer \
  -selector k8s:ns:payments \
  -selector k8s:sa:deployer \
  -jwtSVIDTTL 300
