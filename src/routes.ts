/** Every route, who may call it, what it takes and gives, and what does it. A list, no logic. */
import { row } from './call.ts'
import { listEvents } from './events.ts'
import { createUser, deleteUser, listUsers, updateUser } from './users.ts'
import { addMember, createGroup, deleteGroup, listGroups, removeMember } from './groups.ts'
import { createProvider, deleteProvider, listProviders, updateProvider } from './providers.ts'
import { createKey, listKeys, revokeKey } from './keys.ts'
import { endSession, getMe, listSessions, logout } from './sessions.ts'
import { changePassword, loginWithPassword } from './login/password.ts'
import { beginOidcLogin, finishOidcLogin } from './login/oidc.ts'
import { loginOffer } from './login/offer.ts'
import {
  acknowledgeAccess,
  certify,
  createDestination,
  deleteDestination,
  getDestination,
  listDestinations,
  pollAccess,
  receiptOf,
  updateDestination,
} from './destinations.ts'
import {
  createGrant,
  listGrants,
  myDestinations,
  revokeGrant,
  revokeGrantsByWords,
} from './grants.ts'
import { createToken } from './tokens.ts'
import { AccessKeys, CreatedAccessKey, KeyRef, NewAccessKey } from './wire/keys.ts'
import {
  Certificate,
  CertificateRequest,
  CreatedDestination,
  DestinationEdit,
  DestinationRef,
  Destinations,
  EditedDestination,
  MyDestinations,
  NewDestination,
  Receipt,
  ReceiptQuery,
  ShownDestination,
} from './wire/destinations.ts'
import { EventQuery, Events } from './wire/events.ts'
import { CreatedGrant, Grants, GrantWords, NewGrant, RevokedGrants } from './wire/grants.ts'
import { CreatedGroup, GroupRef, Groups, Membership, NewGroup } from './wire/groups.ts'
import {
  BeginLogin,
  BegunLogin,
  FinishLogin,
  LoginOffer,
  Me,
  PasswordLogin,
  StartedSession,
} from './wire/login.ts'
import { PollAck, PollAnswer, PollQuery } from './wire/poll.ts'
import {
  CreatedProvider,
  NewProvider,
  ProviderEdit,
  ProviderRef,
  Providers,
} from './wire/providers.ts'
import { Sessions } from './wire/sessions.ts'
import { ById, Changed, None } from './wire/shared.ts'
import { NewToken, Token } from './wire/tokens.ts'
import {
  CreatedUser,
  EditedUser,
  NewPassword,
  NewUser,
  UserEdit,
  UserRef,
  Users,
} from './wire/users.ts'

// prettier-ignore
export const routes = [
  //  method    path                                   who may      takes               gives               does
  row('GET',    '/api/login',                          'anyone',    None,               LoginOffer,         loginOffer),
  row('POST',   '/api/login/password',                 'anyone',    PasswordLogin,      StartedSession,     loginWithPassword),
  row('POST',   '/api/login/oidc',                     'anyone',    BeginLogin,         BegunLogin,         beginOidcLogin),
  row('POST',   '/api/login/oidc/finish',              'anyone',    FinishLogin,        StartedSession,     finishOidcLogin),

  row('GET',    '/api/me',                             'user',      None,               Me,                 getMe),
  row('GET',    '/api/me/destinations',                'user',      None,               MyDestinations,     myDestinations),
  row('POST',   '/api/me/password',                    'user',      NewPassword,        None,               changePassword),
  row('POST',   '/api/tokens',                         'user',      NewToken,           Token,              createToken),
  row('POST',   '/api/logout',                         'user',      None,               None,               logout),
  row('GET',    '/api/sessions',                       'user',      None,               Sessions,           listSessions),
  row('DELETE', '/api/sessions/:id',                   'user',      ById,               Changed,            endSession),
  row('GET',    '/api/keys',                           'user',      None,               AccessKeys,         listKeys),
  row('POST',   '/api/keys',                           'user',      NewAccessKey,       CreatedAccessKey,   createKey),
  row('DELETE', '/api/keys/:key',                      'user',      KeyRef,             Changed,            revokeKey),

  row('GET',    '/api/users',                          'admin',     None,               Users,              listUsers),
  row('POST',   '/api/users',                          'admin',     NewUser,            CreatedUser,        createUser),
  row('PUT',    '/api/users/:user',                    'admin',     UserEdit,           EditedUser,         updateUser),
  row('DELETE', '/api/users/:user',                    'admin',     UserRef,            Changed,            deleteUser),
  row('GET',    '/api/groups',                         'admin',     None,               Groups,             listGroups),
  row('POST',   '/api/groups',                         'admin',     NewGroup,           CreatedGroup,       createGroup),
  row('DELETE', '/api/groups/:group',                  'admin',     GroupRef,           Changed,            deleteGroup),
  row('PUT',    '/api/groups/:group/users/:user',      'admin',     Membership,         Changed,            addMember),
  row('DELETE', '/api/groups/:group/users/:user',      'admin',     Membership,         Changed,            removeMember),
  row('GET',    '/api/providers',                      'admin',     None,               Providers,          listProviders),
  row('POST',   '/api/providers',                      'admin',     NewProvider,        CreatedProvider,    createProvider),
  row('PUT',    '/api/providers/:provider',            'admin',     ProviderEdit,       CreatedProvider,    updateProvider),
  row('DELETE', '/api/providers/:provider',            'admin',     ProviderRef,        Changed,            deleteProvider),
  row('GET',    '/api/destinations',                   'admin',     None,               Destinations,       listDestinations),
  row('POST',   '/api/destinations',                   'admin',     NewDestination,     CreatedDestination, createDestination),
  row('GET',    '/api/destinations/:destination',      'admin',     DestinationRef,     ShownDestination,   getDestination),
  row('PUT',    '/api/destinations/:destination',      'admin',     DestinationEdit,    EditedDestination,  updateDestination),
  row('DELETE', '/api/destinations/:destination',      'admin',     DestinationRef,     Changed,            deleteDestination),
  row('GET',    '/api/destinations/:destination/receipt', 'admin',  ReceiptQuery,       Receipt,            receiptOf),
  row('GET',    '/api/grants',                         'admin',     None,               Grants,             listGrants),
  row('POST',   '/api/grants',                         'admin',     NewGrant,           CreatedGrant,       createGrant),
  row('POST',   '/api/grants/revoke',                  'admin',     GrantWords,         RevokedGrants,      revokeGrantsByWords),
  row('DELETE', '/api/grants/:id',                     'admin',     ById,               Changed,            revokeGrant),
  row('GET',    '/api/events',                         'admin',     EventQuery,         Events,             listEvents),

  row('POST',   '/api/connector/certificate',          'connector', CertificateRequest, Certificate,        certify),
  row('GET',    '/api/connector/access',               'connector', PollQuery,          PollAnswer,         pollAccess),
  row('POST',   '/api/connector/access',               'connector', PollAck,            None,               acknowledgeAccess),
]
