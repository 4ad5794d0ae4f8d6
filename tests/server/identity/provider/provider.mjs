// An identity provider of its own, for tests: oidc-provider, with the people and the clients that it is told of.
// Words: its address as browsers have it, the port to listen on, and a file with its clients, people and keys.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [issuer, port, file] = process.argv.slice(2);
const { clients, people, keys, token } = JSON.parse(readFileSync(file, 'utf8'));

const provider = new Provider(issuer, {
  clients,
  jwks: { keys },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  conformIdTokenClaims: !token, // whether what it says of people stands in the token, or has to be asked for
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  pkce: { required: () => true },
  cookies: { keys: ['a secret of the tests'] },
});
provider.proxy = true;
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
