// An OpenID provider for the scenario, over HTTPS on loopback: device flow, access tokens for named resources (RFC 9068), and ID
// tokens. Whoever logs in with a name is that account; the provider says that a second factor was used.
//
//   node provider.mjs PORT CERTIFICATE KEY SIGNING-KEY-ID
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { Provider } from 'oidc-provider';

const [port, certificate, key, kid] = process.argv.slice(2);
const issuer = `https://127.0.0.1:${port}`;
const acr = 'urn:carnet:smoke:mfa';
const amr = ['pwd', 'otp'];

const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  acrValues: [acr],
  claims: { openid: ['sub', 'acr', 'amr', 'auth_time'] },
  clients: [
    {
      client_id: 'carnet-cli',
      token_endpoint_auth_method: 'none',
      grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: 'ES256',
      require_auth_time: true,
    },
  ],
  conformIdTokenClaims: false,
  cookies: { keys: ['for a few seconds on loopback'] },
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  extraTokenClaims(ctx) {
    const code = ctx.oidc.entities.DeviceCode;
    return code && { auth_time: code.authTime, acr: code.acr, amr: code.amr };
  },
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'carnet',
        audience: resource,
        accessTokenTTL: 600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [{ ...signing, kid, use: 'sig', alg: 'ES256' }] },
  scopes: ['openid', 'carnet'],
});

// The page on which somebody logs in and consents.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) {
    return next();
  }
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  if (prompt.name === 'login') {
    const login = ctx.query.login;
    if (!login) {
      ctx.type = 'html';
      ctx.body = `<form method="get" action="${ctx.path}"><input name="login"></form>`;
      return;
    }
    await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: login, acr, amr } });
  } else {
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
    const grant = grantId
      ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
    for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
      grant.addResourceScope(resource, scopes.join(' '));
    }
    await provider.interactionFinished(ctx.req, ctx.res, { consent: { grantId: await grant.save() } });
  }
  ctx.respond = false;
});

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, provider.callback()).listen(
  Number(port),
  '127.0.0.1',
  () => console.log(`serving ${issuer}`),
);
