# SPDX-License-Identifier: Apache-2.0
# The Debian packages `tacit` and `tacitd`: `make package` builds the target package_files, then runs CPack.
# Destinations are relative to /, because configuration and unit lie outside of /usr.

set(TACIT_PACKAGE_CONTACT "Tacit maintainers <maintainers@tacit.example.org>" CACHE STRING "Who answers for the packages")
set(package_files ${CMAKE_BINARY_DIR}/package_files)
file(MAKE_DIRECTORY ${package_files})

# tacit_packed(OUTPUT FILE): FILE compressed the way Debian wants documentation, the same bytes every time.
function(tacit_packed output input)
  add_custom_command(OUTPUT ${output} COMMAND gzip -9n < ${input} > ${output} DEPENDS ${input} VERBATIM)
endfunction()

file(CONFIGURE OUTPUT ${package_files}/changelog CONTENT "tacit (${PROJECT_VERSION}) unstable; urgency=medium

  * /usr/share/doc/tacit/CHANGELOG.md.gz has what changed.

 -- ${TACIT_PACKAGE_CONTACT}  Thu, 01 Jan 2026 00:00:00 +0000
")
tacit_packed(${package_files}/changelog.gz ${package_files}/changelog)
tacit_packed(${package_files}/CHANGELOG.md.gz ${PROJECT_SOURCE_DIR}/CHANGELOG.md)

foreach(page tacit.1 tacitd.8)
  string(REGEX REPLACE "\\..*" "" program ${page})
  string(REGEX REPLACE ".*\\." "" section ${page})
  add_custom_command(OUTPUT ${package_files}/${page}
    COMMAND ${PROJECT_SOURCE_DIR}/deploy/make_manual $<TARGET_FILE:${program}> ${section} > ${package_files}/${page}
    DEPENDS ${program} ${PROJECT_SOURCE_DIR}/deploy/make_manual VERBATIM)
  tacit_packed(${package_files}/${page}.gz ${package_files}/${page})
endforeach()

# What an operator reads and uses, under /usr/share/doc/tacitd in the folders that it has here, but for docs/ and deploy/.
set(guide SECURITY.md CHANGELOG.md docs/operating.md docs/monitoring.md docs/service.md docs/reliability.md
  docs/decisions/0001-model-privacy.md deploy/nginx.conf deploy/prometheus/alerts.yml deploy/grafana/tacitd.json
  protocol/openapi.yaml)
foreach(page rest errors keys inference jobs statistics client-half bytes)
  list(APPEND guide protocol/${page}.md)
endforeach()
set(guide_places)
foreach(file ${guide})
  string(REGEX REPLACE "^(docs|deploy)/" "" place ${file})
  list(APPEND guide_places ${file}=${place})
endforeach()
set(guide_pages)
foreach(file_and_place ${guide_places})
  string(REGEX REPLACE "=.*" "" file ${file_and_place})
  string(REGEX REPLACE ".*=" "" place ${file_and_place})
  get_filename_component(folder "${place}" DIRECTORY)
  set(source ${PROJECT_SOURCE_DIR}/${file})
  if(file MATCHES "[.]md$")
    set(page ${package_files}/guide/${place})
    file(MAKE_DIRECTORY ${package_files}/guide/${folder})
    add_custom_command(OUTPUT ${page} COMMAND ${PROJECT_SOURCE_DIR}/deploy/make_page ${file} ${guide_places} > ${page}
      DEPENDS ${source} ${PROJECT_SOURCE_DIR}/deploy/make_page VERBATIM)
    list(APPEND guide_pages ${page})
    set(source ${page})
  endif()
  install(FILES ${source} DESTINATION usr/share/doc/tacitd/${folder} COMPONENT tacitd)
endforeach()

add_custom_target(package_files DEPENDS tacit tacitd ${package_files}/tacit.1.gz ${package_files}/tacitd.8.gz
  ${package_files}/changelog.gz ${package_files}/CHANGELOG.md.gz ${guide_pages})

install(TARGETS tacit DESTINATION usr/bin COMPONENT tacit)
install(FILES ${package_files}/tacit.1.gz DESTINATION usr/share/man/man1 COMPONENT tacit)
install(FILES ${package_files}/CHANGELOG.md.gz DESTINATION usr/share/doc/tacit COMPONENT tacit)

install(TARGETS tacitd DESTINATION usr/sbin COMPONENT tacitd)
install(FILES ${package_files}/tacitd.8.gz DESTINATION usr/share/man/man8 COMPONENT tacitd)
install(FILES deploy/tacitd.service DESTINATION lib/systemd/system COMPONENT tacitd)
install(FILES deploy/tacitd.toml DESTINATION etc/tacit COMPONENT tacitd)
foreach(package tacit tacitd)
  install(FILES ${package_files}/changelog.gz deploy/debian/copyright
    DESTINATION usr/share/doc/${package} COMPONENT ${package})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_COMPONENTS_ALL tacit tacitd)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGE_CONTACT ${TACIT_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_SOURCE_DIR}/build/package)
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_TACIT_PACKAGE_NAME tacit)
set(CPACK_DEBIAN_TACIT_PACKAGE_SECTION science)
set(CPACK_DEBIAN_TACIT_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_COMPONENT_TACIT_DESCRIPTION "neural networks on encrypted images: compiler and client
Compiles convolutional networks (ONNX) into packages that a server runs on
ciphertexts, makes keys, encrypts images, asks a server and decrypts its
answers. The secret key never leaves this machine.")
set(CPACK_DEBIAN_TACITD_PACKAGE_NAME tacitd)
set(CPACK_DEBIAN_TACITD_PACKAGE_SECTION net)
set(CPACK_DEBIAN_TACITD_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_TACITD_PACKAGE_SUGGESTS "nginx, tacit")
set(CPACK_COMPONENT_TACITD_DESCRIPTION "neural networks on encrypted images: server
Runs compiled networks on ciphertexts that it cannot decrypt, for clients
that ask over REST (Open Inference Protocol, version 2). Comes with a
hardened systemd service.")
set(CPACK_DEBIAN_TACITD_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/deploy/debian/conffiles ${PROJECT_SOURCE_DIR}/deploy/debian/postinst
  ${PROJECT_SOURCE_DIR}/deploy/debian/prerm ${PROJECT_SOURCE_DIR}/deploy/debian/postrm)
include(CPack)
