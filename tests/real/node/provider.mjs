// An OpenID provider of somebody else's that signs people in: oidc-provider with its own pages.
//
// usage: node provider.mjs FOLDER
//
// Three clients, all of native applications: desktop (a secret in the body; like Google's, its refresh token stays),
// public (no secret, rotated; a refresh token used twice ends the login), confidential (HTTP Basic, rotated). Writes
// FOLDER/CLIENT.json, a client file like Google's, for each; at last FOLDER/issuer.

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';

import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const SECRET = 'a secret with + and % and : in it';
const METHODS = { desktop: 'client_secret_post', public: 'none', confidential: 'client_secret_basic' };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const folder = process.argv[2];
const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'k', alg: 'RS256', use: 'sig' };

const provider = new Provider(issuer, {
  clients: Object.entries(METHODS).map(([client_id, token_endpoint_auth_method]) => ({
    client_id,
    token_endpoint_auth_method,
    client_name: `gauth, ${client_id}`,
    client_secret: token_endpoint_auth_method === 'none' ? undefined : SECRET,
    // Any port of this machine (RFC 8252, 7.3).
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/', 'http://localhost/'],
    grant_types: ['authorization_code', 'refresh_token', DEVICE],
  })),
  jwks: { keys: [key] },
  cookies: { keys: ['only for this run'] },
  clientAuthMethods: Object.values(METHODS),
  scopes: ['openid', 'offline_access', 'read', 'write'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // Google and many others put the address into the ID token.
  conformIdTokenClaims: false,
  findAccount: (ctx, accountId) => ({
    accountId,
    claims: () => ({ sub: accountId, name: 'Ada', email: accountId, email_verified: true }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: (ctx) => ctx.oidc.client.clientId !== 'desktop',
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});

for (const [client_id, method] of Object.entries(METHODS)) {
  const installed = { client_id, auth_uri: `${issuer}/auth`, token_uri: `${issuer}/token`, redirect_uris: ['http://127.0.0.1/'] };
  if (method !== 'none') installed.client_secret = SECRET;
  writeFileSync(`${folder}/${client_id}.json`, JSON.stringify({ installed }));
}

server.on('request', provider.callback());
writeFileSync(`${folder}/issuer`, issuer);
