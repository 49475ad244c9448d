// An authorization server of somebody else's that exchanges tokens (RFC 8693): oidc-provider with one more grant.
//
// usage: node server.mjs FOLDER
//
// FOLDER holds server.pem and server.key, and client.pem for the client with a certificate. Writes there: subject.jwt,
// refresh, and at last port.

import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';

import { SignJWT, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import Provider, { errors } from 'oidc-provider';

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TYPE = 'urn:ietf:params:oauth:token-type:';
const API = 'https://api.example.com/';
const IDP = 'https://idp.example.com/';
const SECRET = 'a secret with + and % and : in it';

const folder = process.argv[2];
const file = (name) => `${folder}/${name}`;
const read = (name) => readFileSync(file(name), 'utf8');

const server = createServer({
  key: read('server.key'), cert: read('server.pem'), requestCert: true, rejectUnauthorized: false,
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const { port } = server.address();

// The certificate is itself the key of its client (RFC 8705, 2.2).
const certificate = new X509Certificate(read('client.pem'));
const certified = { ...(await exportJWK(certificate.publicKey)), x5c: [certificate.raw.toString('base64')], use: 'sig' };

const grants = { grant_types: [EXCHANGE, 'refresh_token', 'authorization_code'], redirect_uris: ['https://a.example/'] };
const client = (client_id, method, more = {}) => ({
  client_id, token_endpoint_auth_method: method, ...grants, ...more,
});

const provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [
    client('basic', 'client_secret_basic', { client_secret: SECRET }),
    client('body', 'client_secret_post', { client_secret: SECRET }),
    client('public', 'none'),
    client('certified', 'self_signed_tls_client_auth', { jwks: { keys: [certified] } }),
  ],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none', 'self_signed_tls_client_auth'],
  scopes: ['openid', 'offline_access', 'read', 'write'],
  findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    mTLS: {
      enabled: true,
      selfSignedTlsClientAuth: true,
      certificateBoundAccessTokens: true,
      getCertificate: (ctx) => ctx.req.socket.getPeerX509Certificate()?.toString(),
    },
    resourceIndicators: { enabled: true },
  },
});

const subjects = await generateKeyPair('ES256');

/** Who the subject is. */
async function subject(token, type) {
  if (type === `${TYPE}access_token`) {
    const found = await provider.AccessToken.find(token);
    if (!found) throw new errors.InvalidGrant('there is no such access token');
    return found.accountId;
  }
  if (type !== `${TYPE}jwt`) throw new errors.InvalidRequest('this type of subject token is not taken');
  try {
    const { payload } = await jwtVerify(token, subjects.publicKey, { issuer: IDP, audience: provider.issuer });
    return payload.sub;
  } catch (error) {
    throw new errors.InvalidGrant(`the subject token is not good: ${error.message}`);
  }
}

async function exchange(ctx) {
  const { params, client } = ctx.oidc;
  for (const name of ['subject_token', 'subject_token_type']) {
    if (!params[name]) throw new errors.InvalidRequest(`${name} is missing`);
  }
  const requested = params.requested_token_type ?? `${TYPE}access_token`;
  if (requested !== `${TYPE}access_token`) throw new errors.InvalidRequest('only access tokens are given');
  const wanted = [params.audience ?? [], params.resource ?? []].flat();
  if (wanted.length === 0 || wanted.some((name) => name !== API && name !== 'api')) {
    throw new errors.InvalidTarget('there is no such audience');
  }
  const accountId = await subject(params.subject_token, params.subject_token_type);
  const actor = params.actor_token && (await subject(params.actor_token, params.actor_token_type));
  const token = new provider.AccessToken({
    accountId, client, gty: 'token_exchange', grantId: 'exchanged', scope: params.scope ?? 'read',
    extra: { wanted, actor },
  });
  token.resourceServer = new provider.ResourceServer(API, { scope: 'read write', audience: API });
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: `${TYPE}access_token`,
    token_type: 'Bearer',
    expires_in: token.expiration,
    scope: token.scope,
  };
}

provider.registerGrantType(
  EXCHANGE,
  exchange,
  [
    'audience', 'resource', 'scope', 'requested_token_type',
    'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type',
  ],
  ['audience', 'resource'],
);

const now = Math.floor(Date.now() / 1000);
const jwt = (end, audience) => new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).setIssuer(IDP)
  .setSubject('ada').setAudience(audience).setIssuedAt(now - 60).setExpirationTime(end).sign(subjects.privateKey);
writeFileSync(file('subject.jwt'), await jwt(now + 600, provider.issuer));
writeFileSync(file('over.jwt'), await jwt(now - 30, provider.issuer));
writeFileSync(file('stranger.jwt'), await jwt(now + 600, 'https://somebody.else.example/'));

// A login, as if ada had signed in.
const public_ = await provider.Client.find('public');
const grant = new provider.Grant({ accountId: 'ada', clientId: 'public' });
grant.addOIDCScope('offline_access read write');
const grantId = await grant.save();
const refresh = new provider.RefreshToken({
  accountId: 'ada', client: public_, grantId, gty: 'authorization_code', scope: 'offline_access read write',
  authTime: now, expiresWithSession: false,
});
writeFileSync(file('refresh'), await refresh.save());
writeFileSync(file('client-secret'), SECRET);

server.on('request', provider.callback());
writeFileSync(file('port'), String(port));
