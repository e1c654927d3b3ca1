// Two identities. The function app's is made before the app, so that its roles are there when the app starts. The other one is
// the namespace's, for Capture: it writes blobs and does nothing else.
param name string
param location string
param tags object

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${name}'
  location: location
  tags: tags
}

resource capture 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: 'id-${name}-capture'
  location: location
  tags: tags
}

output id string = app.id
output clientId string = app.properties.clientId
output principalId string = app.properties.principalId
output captureId string = capture.id
output capturePrincipalId string = capture.properties.principalId
